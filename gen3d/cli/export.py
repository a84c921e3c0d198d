"""Write the object of a run, or a mesh of another program, as files for games."""

from pathlib import Path

import click


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("out", required=False, type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--from", "source", type=click.Path(path_type=Path), help="A GLB, glTF, OBJ, PLY or STL file, not a run.")
@click.option("--preset", metavar="NAME", help="mobile, prop, hero or film: decides what is not given.")
@click.option("--tris", "triangles", metavar="N", help="Triangles, at most.")
@click.option("--texture", metavar="N", help="Texels along a side of the textures.")
@click.option("--lods", metavar="N", help="Coarser levels of detail.")
@click.option("--collision", metavar="KIND", help="convex:N, box or none.")
@click.option("--pivot", metavar="PLACE", help="bottom, center or keep.")
@click.option("--height", metavar="LENGTH", help="Such as 0.3m, 30cm or 12in; default: 1 m for the longest side.")
@click.option("--engine", metavar="NAME", help="godot, unity, unreal or blender.")
@click.option("--format", metavar="NAMES", help="One or more of glb, obj, ply, usdz, with commas between.")
@click.option("--compress", metavar="HOW", help="meshopt or draco: another GLB, for web pages.")
def command(run: Path, out: Path | None, overrides: tuple[str, ...], source: Path | None, **flags: str | None) -> None:
    """Export the object of the run directory RUN to OUT: a folder, or a file whose suffix is the format.

    With --from FILE there is no RUN, and OUT comes first. Flags are spellings of the exporter's keys; KEY=VALUE are
    its other ones, such as normal_map=true: see `gen3d describe exporter game_mesh`.

    \b
    gen3d export runs/barrel barrel.glb --preset prop --lods 2 --collision convex:8
    gen3d export --from chair.glb out/chair.glb --tris 8000 --height 90cm --engine godot
    """
    from gen3d.export import export, export_file

    keys = [f"{key}={_value(key, value)}" for key, value in flags.items() if value is not None] + [*overrides]
    if out is not None and "=" in str(out):
        keys, out = [*keys, str(out)], None
    if source is None:
        written = export(run, out, keys)
    elif out is None:
        written = export_file(source, run, keys)
    else:
        raise click.UsageError("--from FILE goes to one OUT, a folder or a file, and there is no RUN")
    for path in written:
        click.echo(path)


def _value(key: str, value: str) -> str:
    """A flag as a recipe would write it."""
    return f"[{value}]" if key == "format" and "," in value else value
