"""Go on with a run where it stopped, in whichever stage."""

from pathlib import Path

import click


@click.command("resume")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--vram", help="What it may take of the GPU's memory, such as 8GB; default: what is free.")
def command(run: Path, vram: str | None) -> None:
    """Go on with the run in the directory RUN where it stopped; it ends as if it never had.

    \b
    gen3d resume runs/2026-01-01_120000-zero123_sjc
    """
    from gen3d.resume import is_finished, resume

    if is_finished(run):
        click.echo(f"{run} is finished: there is nothing left to do")
        return
    resume(run, vram=vram)
