"""What the person sees of a run: progress, previews, at its end a contact sheet, a turntable and where things are."""

from typing import TYPE_CHECKING

from gen3d import hookimpl

if TYPE_CHECKING:
    from gen3d import Step
    from gen3d.run import Run


@hookimpl
def run_started(run: "Run") -> None:
    """Start the clock."""
    from gen3d_monitor.monitor import monitor_of

    monitor_of(run)


@hookimpl
def step_finished(run: "Run", step: "Step") -> None:
    """Move the bar on, show new warnings, and draw a preview now and then."""
    from gen3d_monitor.monitor import monitor_of

    monitor_of(run).step(run, step)


@hookimpl
def run_finished(run: "Run", error: BaseException | None) -> None:
    """Draw the pictures of the result and list what the run has made."""
    from gen3d_monitor.monitor import monitor_of

    monitor_of(run).finish(run, error)
