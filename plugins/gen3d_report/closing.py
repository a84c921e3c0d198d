"""What is measured, recorded and written when a run ends."""

import sys
from typing import TYPE_CHECKING, Any

import torch

from gen3d_report.janus import HIGH, Janus, measure
from gen3d_report.report import report

if TYPE_CHECKING:
    from gen3d.run import Run


def close(run: "Run", error: BaseException | None) -> None:
    """Record peak memory and, of a finished object, its Janus score; then write the page, whatever there is."""
    run.files.log("drawing", what="the page about the run")
    try:
        run.files.note(memory=memory(run.device))
        if error is None:
            _measure(run)
    finally:  # with what there is
        run.files.log("report", name="report", path=report(run.directory).name)


def _measure(run: "Run") -> None:
    found = measure(run.stage)
    if found is not None:
        run.files.log("janus", **found.as_json())
        if message := hint(run, found):
            run.warn(message)
    run.files.note(janus=found.as_json() if found else None)


def hint(run: "Run", found: Janus) -> str:
    """What to do about an object of several fronts; nothing where that is no fault, or a picture shows the front."""
    if found.score < HIGH or not run.inputs.prompt or run.inputs.image is not None:
        return ""
    return (
        f"the view from {found.azimuth_deg:.0f}° repeats the front (Janus score {found.score:.2f}). Of what is round,"
        " such as a bottle, this is no fault; of all else try prior.view_prompts=perp_neg or interpolated, a lower"
        " objective.cfg_scale, or another seed"
    )


def memory(device: torch.device) -> dict[str, Any]:
    """Bytes at the peak: of this process, and of its GPU."""
    taken: dict[str, Any] = {}
    try:
        import resource
    except ImportError:  # Windows
        pass
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        taken["process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if device.type == "cuda":
        taken["cuda"] = torch.cuda.max_memory_allocated(device)
    return taken
