"""A live view of the object in the browser: `gen3d run --watch` while it is optimised, `gen3d view` afterwards.

viser serves the page, on this computer only. `page` is all that knows viser; `picture` draws, `painter` decides when
and how finely; `watching` does what people ask of a run, between two steps and in the run's own thread.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gen3d import hookimpl

if TYPE_CHECKING:
    from gen3d import Cameras, Step, Views
    from gen3d.run import Run


@hookimpl
def watch(run: "Run", port: int) -> bool:
    """Remember that this run is to be shown. Raises Unavailable without viser."""
    from gen3d_viewer.watching import watch_at

    watch_at(run, port)
    return True


@hookimpl
def run_started(run: "Run") -> None:
    """Serve the page and say where."""
    from gen3d_viewer.watching import watching

    if (shown := watching(run)) is not None:
        shown.start()


@hookimpl
def step_finished(run: "Run", step: "Step", views: "Mapping[Cameras, Views]") -> None:
    """Draw for those who look, and do what they have asked for."""
    from gen3d_viewer.watching import watching

    if (shown := watching(run)) is not None:
        shown.step(step, views)


@hookimpl
def run_finished(run: "Run") -> None:
    """Close the page."""
    from gen3d_viewer.watching import watching

    if (shown := watching(run)) is not None:
        shown.close()
