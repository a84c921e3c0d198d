"""The queue: one JSON file a job, in the folder of the runs, so that it survives a restart."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gen3d.checkpoint import write_atomically
from gen3d.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable

Status = Literal["queued", "running", "done", "failed", "cancelled"]
FOLDER = ".web"
"""Of the queue and of the page's own files, in the folder of the runs."""
MOST_WAITING = 20


@dataclass(frozen=True)
class Job:
    """A run that somebody has asked for.

    Args:
        name: of the job, and of its run's directory.
        title: what a person knows it by: the prompt, or the picture's name.
        recipe: path of the file.
        overrides: values such as "seed=1".
        profile: a named overlay of the recipe.
        vram: what it may take of the GPU's memory.
        status: where it stands.
        message: why it has failed, and what would be right.
    """

    name: str
    title: str
    recipe: str
    overrides: tuple[str, ...] = ()
    profile: str | None = None
    vram: str | None = None
    status: Status = "queued"
    message: str = ""


class Jobs:
    """All jobs of a folder of runs, oldest first.

    Args:
        runs: the folder; made where it is not there. Raises BadInput where that is not possible.
    """

    def __init__(self, runs: Path) -> None:
        self.runs = runs.absolute()
        self._changing = threading.RLock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            remedy = "choose another folder with --runs"
            raise BadInput(f"cannot be written: {error.strerror}", place=str(runs), remedy=remedy) from error

    @property
    def folder(self) -> Path:
        """Where the queue is."""
        return self.runs / FOLDER / "jobs"

    def file(self, name: str, suffix: str = ".json") -> Path:
        """A file of a job: what it is, its picture, what its process has said."""
        return self.folder / f"{name}{suffix}"

    def run(self, name: str) -> Path:
        """The directory of a job's run."""
        return self.runs / name

    def list(self) -> list[Job]:
        """Every job; a file that is none is passed over."""
        with self._changing:
            found = (_read(path) for path in self.folder.glob("*.json"))
            return sorted((job for job in found if job is not None), key=lambda job: job.name)

    def get(self, name: str) -> Job | None:
        """One job, where there is one of that name."""
        return next((job for job in self.list() if job.name == name), None)

    def next(self) -> Job | None:
        """What is to be run now: first what was running when the server ended, then who came first."""
        waiting = [job for job in self.list() if job.status in {"running", "queued"}]
        return min(waiting, key=lambda job: job.status == "queued", default=None)

    def put(self, job: Job) -> Job:
        """Write a job down."""
        with self._changing:
            write_atomically(self.file(job.name), json.dumps(asdict(job), indent=2).encode())
        return job

    def change(self, name: str, allowed: Iterable[Status], **values: Any) -> Job | None:
        """Change a job if its status is an allowed one; tell what became of it."""
        with self._changing:
            job = self.get(name)
            return self.put(replace(job, **values)) if job is not None and job.status in set(allowed) else None

    def new_name(self) -> str:
        """A name that no job and no run has: the time of day, so that names sort by it."""
        with self._changing:
            waiting = sum(job.status == "queued" for job in self.list())
            if waiting >= MOST_WAITING:
                raise BadInput(f"{waiting} are waiting already", place="queue", remedy="cancel one, or wait for one")
            stamp = time.strftime("%Y-%m-%d_%H%M%S")
            names = chain([stamp], (f"{stamp}-{number:02}" for number in count(2)))
            free = (name for name in names if not self.run(name).exists() and not self.file(name).exists())
            return next(free)


def _read(path: Path) -> Job | None:
    try:
        values = json.loads(path.read_bytes())
        job = Job(**{**values, "overrides": tuple(values["overrides"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return job if job.name == path.stem else None
