"""The event stream of a run: one JSON object a line, in the order in which things happened."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3d.errors import BadInput


@dataclass(frozen=True)
class Events:
    """A file of events.

    Args:
        path: the file, made when it is first written to.
    """

    path: Path

    def append(self, **values: Any) -> None:
        """Add one; numbers that JSON has no words for become null."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_json(values)) + "\n")

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
        except (TypeError, ValueError) as error:
            remedy = "remove the file: the run can go on without it"
            raise BadInput(f"is damaged: {error}", place=str(self.path), remedy=remedy) from error
        with self.path.open("ab") as file:
            file.truncate(len(whole + newline))
        return left


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
