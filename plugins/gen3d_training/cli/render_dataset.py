"""Render a folder of meshes from all around."""

from pathlib import Path

import click


@click.command("render-dataset")
@click.argument("meshes", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUT", type=click.Path(path_type=Path, file_okay=False))
@click.option("--views", default=16, show_default=True, type=click.IntRange(1, 1000), help="Pictures of each object.")
@click.option("--size", default=64, show_default=True, type=click.IntRange(8, 2048), help="Pixels along each side.")
@click.option("--radius", nargs=2, default=(1.5, 2.2), show_default=True, type=click.FloatRange(0.9), help="Distance.")
@click.option("--fov", default=49.1, show_default=True, type=click.FloatRange(1, 150), help="Field of view, degrees.")
@click.option("--seed", default=0, show_default=True, help="Draws poses and lights.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Processes.")
def render_dataset(
    *,
    meshes: Path,
    output: Path,
    views: int,
    size: int,
    radius: tuple[float, float],
    fov: float,
    seed: int,
    workers: int,
) -> None:
    """Render every GLB, glTF, OBJ and PLY below MESHES from all around, as RGBA pictures with their poses.

    Objects are centred, with longest side 1, glTF's front (+Z) at azimuth 0. Finished objects are kept, so an
    interrupted command goes on when it is given again.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    from gen3d_training.render_dataset import ViewSettings
    from gen3d_training.render_dataset import render_dataset as render_all

    console = Console(stderr=True)
    settings = ViewSettings(views, size, (min(radius), max(radius)), fov, seed)
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as bar:
        task = bar.add_task("Objects", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        index = render_all(meshes, output, settings, workers, progress)
    click.echo(f"{len(index['objects'])} objects, {views} views each: {output / 'index.json'}")
    if index["failed"]:
        click.echo(f"{len(index['failed'])} could not be rendered: {output / 'failed.jsonl'}")
