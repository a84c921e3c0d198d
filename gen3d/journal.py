"""What is told of a run: run.json as it stands, and events.jsonl line by line, also to whoever listens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from gen3d.checkpoint import write_atomically
from gen3d.errors import Unavailable
from gen3d.events import Events, Listener


@dataclass
class Journal:
    """The record of a run, and its events.

    Args:
        path: the run's directory.
        record: what run.json holds.
        lock: held while this process writes here; the system frees it when the process ends, however it does.
        remarks: what there was to say about going on.
        listeners: who is told each event when it is written, by name.
    """

    path: Path
    record: dict[str, Any]
    lock: FileLock
    remarks: list[str] = field(default_factory=list, kw_only=True)
    listeners: dict[str, Listener] = field(default_factory=dict, kw_only=True)
    _started: float = field(default_factory=time.monotonic, kw_only=True)

    def begin(self, listeners: dict[str, Listener]) -> None:
        """From now on, somebody listens: say what is begun, or gone on with, and what there was to say about that."""
        self.listeners = dict(listeners)
        if "resumed" not in self.record:
            self.log("run_started", name=self.record["name"], directory=str(self.path))
            return
        again = {key: self.record["resumed"][-1][key] for key in ("stage", "step")}
        self.log("resumed", name=self.record["name"], directory=str(self.path), **again)
        for message in self.remarks:
            self.warn(message)

    @property
    def events(self) -> Events:
        """Everything that happened."""
        return Events(self.path / "events.jsonl")

    @property
    def seconds(self) -> float:
        """Since the run began; of a run that was stopped, without what was lost and the time between."""
        return time.monotonic() - self._started

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile the run's clock stands still."""
        before = self.seconds
        try:
            yield
        finally:
            self._started = time.monotonic() - before

    def log(self, event: str, **values: Any) -> None:
        """Append one line to events.jsonl, and tell the listeners; one that fails is told nothing more."""
        told = {"event": event, "time": round(self.seconds, 3), **values}
        with self.writing():
            self.events.append(told)
        for name, tell in list(self.listeners.items()):
            try:
                tell(told)
            except Exception as error:  # noqa: BLE001 (whoever looks on never ends a run)
                self.listeners.pop(name, None)
                self.warn(f"log {name!r} failed and is told nothing more: {type(error).__name__}: {error}")

    def warn(self, message: str) -> None:
        """Record a remark, at once: observers may still have some when the run has ended."""
        if message not in self.record.setdefault("warnings", []):  # parts that are bound again say the same again
            self.record["warnings"].append(message)
            self.log("warning", message=message)
            self.write_record()

    def note(self, **values: Any) -> None:
        """Record in run.json what an observer has found out, under names of its own."""
        self.record |= values
        self.write_record()

    def finish(self, error: BaseException | None, outputs: list[Path]) -> None:
        """Write how the run ended."""
        interrupted = isinstance(error, KeyboardInterrupt)
        self.record["status"] = "interrupted" if interrupted else "failed" if error else "done"
        self.record["error"] = f"{type(error).__name__}: {error}" if error else None
        self.record["seconds"] = round(self.seconds, 2)
        self.record["outputs"] = [str(path.relative_to(self.path)) for path in outputs]
        try:
            self.write_record()
        except Unavailable:
            if error is None:  # else there is something more important to tell
                raise

    def end(self) -> None:
        """The last word, when the observers have had theirs."""
        try:
            shown = {key: self.record[key] for key in ("status", "error", "seconds", "outputs")}
            self.log("run_finished", **shown)
        except Unavailable:
            if self.record["status"] == "done":  # else there is something more important to tell
                raise
        finally:
            self.lock.release()

    def write_record(self) -> None:
        """Write run.json."""
        with self.writing():
            write_atomically(self.path / "run.json", json.dumps(self.record, indent=2).encode())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Say what a disk that cannot be written to gives cause to. Raises Unavailable."""
        try:
            yield
        except OSError as error:
            remedy = f"put that right, then: gen3d resume {self.path}"
            raise Unavailable(f"cannot be written: {error.strerror}", place=str(self.path), remedy=remedy) from error
