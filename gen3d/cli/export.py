"""Write the object of a finished run to files, without its prior."""

from pathlib import Path

import click


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("out", required=False, type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def command(run: Path, out: Path | None, overrides: tuple[str, ...]) -> None:
    """Export the object of the run directory RUN to OUT: a folder, or a file whose suffix is the format.

    KEY=VALUE are keys of the exporter.

    \b
    gen3d export runs/2026-01-01_120000-zero123_sjc barrel.obj triangles=5000
    """
    from gen3d.export import export

    if out is not None and "=" in str(out):
        overrides, out = (str(out), *overrides), None
    for path in export(run, out, overrides):
        click.echo(path)
