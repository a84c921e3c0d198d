"""The event stream of a run: one JSON object a line, in the order in which things happened."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gen3d.errors import BadInput
from gen3d.registry import did_you_mean

if TYPE_CHECKING:
    from gen3d.run import Run

Event = Mapping[str, Any]
Listener = Callable[[Event], None]
"""What is told each event of a run when it is written."""
AUTO = "auto"
"""The listener of those who have asked for none."""


@dataclass(frozen=True)
class Events:
    """A file of events.

    Args:
        path: the file, made when it is first written to.
    """

    path: Path

    def append(self, event: Event) -> None:
        """Add one."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line(event) + "\n")

    def sync(self) -> int:
        """Make all so far outlive a power cut, and say how many bytes that is."""
        with self.path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()

    def cut(self, length: int) -> list[dict[str, Any]]:
        """Forget what came after the first `length` bytes, and half a line before; return what is left."""
        whole, newline, _ = (self.path.read_bytes() if self.path.exists() else b"")[:length].rpartition(b"\n")
        try:
            left = [dict(json.loads(line)) for line in whole.splitlines()]
        except (TypeError, ValueError, RecursionError) as error:
            remedy = "remove the file: the run can go on without it"
            raise BadInput(f"is damaged: {error}", place=str(self.path), remedy=remedy) from error
        with self.path.open("ab") as file:
            file.truncate(len(whole + newline))
        return left


def line(event: Event) -> str:
    """One event as it stands in the file; numbers that JSON has no words for become null."""
    return json.dumps(_json(event))


def listeners(run: Run, names: tuple[str, ...] = ()) -> dict[str, Listener]:
    """Those of the plugins' `event_logs` that have these names; of none, what suits where this runs.

    Raises:
        BadInput: no plugin has one of that name.
        Unavailable: it needs something that is not installed.
    """
    offered: dict[str, Callable[[Run], Listener]] = {}
    for answer in run.plugins.ask("event_logs", run.warnings.append):
        offered |= answer
    for name in names:
        if name not in offered:
            raise BadInput(f"unknown log {name!r}", place="--log", remedy=did_you_mean(name, offered))
    return {name: offered[name](run) for name in dict.fromkeys(names or (AUTO,)) if name in offered}


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
