"""What the page shows of the runs there are, as values of its fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

from gen3d_web.cards import NOTHING, STATES, job_card
from gen3d_web.jobs import Job, Jobs, Status
from gen3d_web.watching import look

if TYPE_CHECKING:
    from pathlib import Path

Shown = dict[str, dict[str, Any]]
"""What each field is to look like, by its name in LOOKS."""
LOOKS = ("which", "card", "preview", "model", "download", "cancel", "again")
MOST = 100
_ENDED: dict[str, Status] = {"done": "done", "failed": "failed"}


def everything(jobs: Jobs) -> list[Job]:
    """The jobs, and the runs that somebody has started elsewhere; newest first."""
    known = jobs.list()
    names = {job.name for job in known}
    others = [path.parent for path in jobs.runs.glob("*/run.json") if path.parent.name not in names]
    found = [job for path in others if (job := _started_elsewhere(path))]
    return sorted([*known, *found], key=lambda job: job.name, reverse=True)[:MOST]


def _started_elsewhere(run: Path) -> Job | None:
    try:
        record = json.loads((run / "run.json").read_bytes())
        return Job(
            run.name, str(record["name"]), str(record["recipe"]), status=_ENDED.get(record["status"], "cancelled")
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def shown(jobs: Jobs, name: str | None) -> Shown:
    """What there is to see.

    Args:
        jobs: the queue.
        name: of the run that is looked at; default: the one that runs, else the newest.
    """
    listed = everything(jobs)
    running = next((job for job in listed if job.status == "running"), None)
    job = next((job for job in listed if job.name == name), running or next(iter(listed), None))
    choices = [(f"{each.title} ({STATES[each.status]})", each.name) for each in listed]
    which = {"choices": choices, "value": job.name if job else None}
    if job is None:
        empty: Shown = {**{key: {"visible": False} for key in LOOKS}, "model": {"value": None}}
        return {**empty, "which": which, "card": {"value": NOTHING}}
    seen = look(jobs.run(job.name))
    ahead = sum(each.name < job.name and each.status in get_args(Status)[:2] for each in listed)
    asset = seen.asset if seen.asset and seen.asset.suffix == ".glb" else None
    is_ours = jobs.file(job.name).exists()
    return {
        "which": which,
        "card": {"value": job_card(job, seen, ahead)},
        "preview": _file(None if asset else seen.preview),
        "model": {"value": str(asset) if asset else None},
        "download": _file(asset),
        "cancel": {"visible": job.status in {"queued", "running"}},
        "again": {"visible": is_ours and job.status in {"failed", "cancelled"}},
    }


def _file(path: Path | None) -> dict[str, Any]:
    return {"value": str(path) if path else None, "visible": path is not None}
