"""Look at a run's object in the browser."""

from contextlib import suppress
from pathlib import Path

import click

from gen3d.cli import PORT


@click.command("view")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="Or the next that is free."
)
def view(run: Path, port: int) -> None:
    """Look at the object of the run in the directory RUN, from its newest checkpoint, from all sides.

    \b
    gen3d view runs/2026-01-01_120000-zero123_sjc
    """
    from gen3d_viewer.view import view as show

    with suppress(KeyboardInterrupt):
        show(run, port)
