"""The page about a run: `report.html` at its end, what its guidances saw, its Janus score; and runs side by side."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gen3d import hookimpl

if TYPE_CHECKING:
    from gen3d import Cameras, Step, Views
    from gen3d.run import Run


@hookimpl
def step_finished(run: "Run", step: "Step", views: "Mapping[Cameras, Views]") -> None:
    """Keep what the guidances saw, now and then."""
    from gen3d_report.seen import due, save_seen

    if due(step):
        save_seen(run.directory, run.stage, step, views)


@hookimpl
def run_finished(run: "Run", error: BaseException | None) -> None:
    """Measure what came out, and write the page. The monitor, of an earlier name, has drawn its pictures by now."""
    from gen3d_report.closing import close

    close(run, error)
