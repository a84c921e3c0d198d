"""What there is to see of a run while it goes on: read from the files in its directory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_TAIL = 65_536
"""Bytes of events.jsonl that are read: the latest."""


@dataclass(frozen=True)
class Seen:
    """Where a run stands.

    Args:
        stage: its name.
        step: how many steps of the stage are done.
        steps: how many it has.
        seconds: since the run began.
        terms: the weighted terms of the loss, by name.
        activity: what is done besides steps.
        preview: the newest picture of the object.
        asset: the file to download.
        warnings: remarks for the person.
    """

    stage: str = ""
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)
    activity: str = ""
    preview: Path | None = None
    asset: Path | None = None
    warnings: tuple[str, ...] = ()


def look(run: Path) -> Seen:
    """See how far a run has come; nothing where it has not begun."""
    events, record = _events(run), _record(run)
    steps = [event for event in events if event.get("event") == "step"]
    last: dict[str, Any] = steps[-1] if steps else {}
    named = [event for event in events if event.get("event") in {"stage_finished", "drawing", "exported", "step"}]
    return Seen(
        stage=str(last.get("stage", "")),
        step=int(last.get("step", -1)) + 1,
        steps=int(last.get("steps", 0)),
        seconds=float(events[-1].get("time", 0)) if events else 0.0,
        terms={name: value for name, value in (last.get("terms") or {}).items() if isinstance(value, int | float)},
        activity=_activity(named[-1]) if named else "",
        preview=newest_preview(run),
        asset=inside(run, next(iter(record.get("outputs") or []), None)) if record.get("status") != "running" else None,
        warnings=tuple(map(str, record.get("warnings") or [])),
    )


def inside(run: Path, name: str | None) -> Path | None:
    """A file of the run; None where there is none, or where it is in truth somewhere else."""
    if not name:
        return None
    path, home = (run / name).resolve(), run.resolve()
    return path if path.is_file() and path.is_relative_to(home) and home.parent == run.parent.resolve() else None


def newest_preview(run: Path) -> Path | None:
    """The newest picture in preview/, by its own name: `latest.png` may change while it is read."""
    found = [path for path in (run / "preview").glob("*_*.png") if not path.name.startswith(".")]
    found.sort(key=lambda path: path.stat().st_mtime_ns if path.exists() else 0)
    return inside(run, f"preview/{found[-1].name}") if found else None


def _activity(event: dict[str, Any]) -> str:
    match event["event"]:
        case "stage_finished":
            return "exporting"
        case "drawing":
            return f"drawing {event.get('what', '')}"
        case "exported":
            return "exported"
    return ""


def _events(run: Path) -> list[dict[str, Any]]:
    try:
        with (run / "events.jsonl").open("rb") as file:
            start = max(0, file.seek(0, 2) - _TAIL)
            file.seek(start)
            lines = file.read().splitlines()[1 if start else 0 :]
    except OSError:
        return []
    return [event for event in map(_json, lines) if event]


def _record(run: Path) -> dict[str, Any]:
    try:
        return _json((run / "run.json").read_bytes())
    except OSError:
        return {}


def _json(data: bytes) -> dict[str, Any]:
    """An object; of a line that is half written, nothing."""
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
