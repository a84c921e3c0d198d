"""What the person sees of a run: progress, previews, at its end a contact sheet, a turntable and where things are."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gen3d import hookimpl

if TYPE_CHECKING:
    from gen3d import Step
    from gen3d.events import Listener
    from gen3d.run import Run


@hookimpl
def event_logs() -> "Mapping[str, Callable[[Run], Listener]]":
    """A bar, plain lines, JSON; and what suits where this runs."""
    from gen3d_monitor.screen import LOGS

    return LOGS


@hookimpl
def step_finished(run: "Run", step: "Step") -> None:
    """Draw a preview now and then."""
    from gen3d_monitor.preview import due, save_preview

    if due(step):
        path = save_preview(run.stage, step, run.directory / "preview")
        name = path.relative_to(run.directory).as_posix()
        run.files.log("preview", stage=step.stage, step=step.index, path=name)


@hookimpl
def run_finished(run: "Run", error: BaseException | None) -> None:
    """Draw the pictures of the result."""
    from gen3d_monitor.final import draw_result

    draw_result(run, error)
