"""Go on with a run where it stopped, in whichever stage."""

from pathlib import Path

import click

from gen3d.cli import PORT


@click.command("resume")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--vram", help="What it may take of the GPU's memory, such as 8GB; default: what is free.")
@click.option("--log", "logs", multiple=True, metavar="NAME", help="bar, plain, json, tensorboard: one or more.")
@click.option("--watch", is_flag=True, help=f"Show the object in a browser while it is optimised, at port {PORT}.")
@click.option("--port", type=click.IntRange(1, 65535), help="Watch at this port, or at the next that is free.")
def command(run: Path, vram: str | None, logs: tuple[str, ...], port: int | None, *, watch: bool) -> None:
    """Go on with the run in the directory RUN where it stopped; it ends as if it never had.

    \b
    gen3d resume runs/2026-01-01_120000-zero123_sjc
    """
    from gen3d.resume import is_finished, resume

    if is_finished(run):
        click.echo(f"{run} is finished: there is nothing left to do")
        return
    resume(run, vram=vram, logs=logs, port=port or (PORT if watch else None))
