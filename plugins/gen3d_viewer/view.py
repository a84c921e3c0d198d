"""The object of a run that has ended, from its newest checkpoint."""

import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty

import click

from gen3d.export import export
from gen3d.run import choose_device
from gen3d.stored import Stored
from gen3d_viewer.page import Page
from gen3d_viewer.painter import Painter

LINES = ("stage", "step", "picture")
BUTTONS = {"export": "Export now"}
_POLL = 0.03  # seconds between looks at the camera


def view(run: Path, port: int, looking: Callable[[], bool] = lambda: True) -> None:
    """Show the newest object of a run directory in the browser, as long as `looking` says so.

    Args:
        run: its directory; it is not changed, unless somebody exports.
        port: where, or at the next that is free.
        looking: whether to go on.

    Raises:
        BadInput: it is no run directory, or has no checkpoint that could be read.
        Unavailable: viser is not installed.
        Unsupported: the object cannot be drawn without the run's prior.
    """
    stored = Stored.newest(run)
    stage, step = stored.open(choose_device("auto"))
    page = Page(stored.recipe.name, port, LINES, BUTTONS)
    try:
        if page.port != port:
            click.echo(f"port {port} is in use", err=True)
        click.echo(f"{stored.checkpoint}\n{page.where}\n  Ctrl-C ends it", err=True)
        page.tell(stage=step.stage, step=f"{step.index + 1} of {step.total}")
        painter = Painter(page)
        while looking():
            if not painter.look(stage, step, waiting=True):
                time.sleep(_POLL)
            _mind(page, run)
    finally:
        page.close()


def _mind(page: Page, run: Path) -> None:
    """Export, where somebody has asked for it."""
    try:
        page.wishes.get_nowait()
    except Empty:
        return
    page.note("exporting")
    try:
        files = export(run)
    except Exception as error:  # noqa: BLE001 (half an object need not be fit for it)
        page.note(f"it cannot be exported: {error}")
    else:
        page.note(f"exported: {files[0] if files else 'nothing'}")
