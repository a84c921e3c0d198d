"""The files of a run: recipe.yaml, resolved.yaml, run.json, events.jsonl, checkpoints/, preview/, asset/."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from ruamel.yaml import YAML

from gen3d.checkpoint import load_checkpoint, write_atomically
from gen3d.errors import BadInput, Unavailable
from gen3d.events import Events
from gen3d.lock import LOCK, locked
from gen3d.provenance import changes, check_unchanged, sha256, versions
from gen3d.run_checkpoints import Checkpoints

if TYPE_CHECKING:
    from gen3d.part import Stage, Step
    from gen3d.recipe import Recipe
    from gen3d.stage import StageParts

_STAMP = "%Y-%m-%d_%H%M%S"


@dataclass
class RunDirectory:
    """Where a run writes, and what has been written about it so far.

    Args:
        path: the directory.
        record: what run.json holds.
        checkpoint_every: steps.
        lock: held while this process writes here; the system frees it when the process ends, however it does.
        point: the checkpoint from which a run that was stopped goes on.
        remarks: what there was to say about going on.
    """

    path: Path
    record: dict[str, Any]
    checkpoint_every: int
    lock: FileLock
    point: dict[str, Any] | None = None
    remarks: list[str] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)
    _stage_began: float = 0.0
    _skipped_in_a_row: int = 0

    @classmethod
    def create(
        cls, recipe: Recipe, inputs: Mapping[str, str] | None = None, made_from: Iterable[Path] = ()
    ) -> RunDirectory:
        """Make the directory with the recipe in it. Raises BadInput where that is not possible.

        Args:
            recipe: what is run.
            inputs: values of the recipe's `inputs` that hold wherever the run is resumed.
            made_from: files that must not change until it is.
        """
        stamp = time.strftime(_STAMP)
        output, name = recipe.get("output"), re.sub(r"[^\w.-]+", "_", recipe.name)
        path = Path(output) if output else _free(Path("runs", f"{stamp}-{name}"))
        place, remedy = recipe.config.place(("output",)), "choose another output=DIRECTORY"
        resolved = recipe.resolved()
        resolved = {**resolved, "inputs": {**resolved["inputs"], **inputs}} if inputs else resolved
        try:
            files = {"recipe.yaml": recipe.text.encode(), "resolved.yaml": dump_yaml(resolved)}
            begun = (path / LOCK).exists()  # by a run that was killed before it had written anything else of its own
            for file in ("run.json", *(() if begun else files)):
                if (path / file).exists():
                    raise BadInput(f"{path} already holds a {file}", place=place, remedy=remedy)
            path.mkdir(parents=True, exist_ok=True)
            lock = locked(path)
            for file, data in files.items():
                write_atomically(path / file, data)
            digests = {"resolved.yaml": sha256(path / "resolved.yaml")}
            digests |= {str(file): sha256(file) for file in made_from}
            (path / "events.jsonl").touch()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadInput(f"{path} cannot be written: {reason}", place=place, remedy=remedy) from error
        record = {"status": "running", "recipe": str(recipe.path), "name": recipe.name, "stages": {}, "skipped": 0}
        record |= {"started": stamp, "versions": versions(), "inputs": dict(inputs or {}), "sha256": digests}
        result = cls(path, record, int(recipe.get("checkpoint_every", 500)), lock)
        result._write_record()
        return result

    @classmethod
    def reopen(cls, path: Path, recipe: Recipe) -> RunDirectory:
        """Go back to where a run can be trusted, and forget what came after.

        Raises:
            BadInput: the directory is no run's, another process writes to it, or what the run is made of has changed.
        """
        result = cls(path, {}, int(recipe.get("checkpoint_every", 500)), locked(path))
        try:
            result.record = read_record(path)
            check_unchanged(path, result.record["sha256"])
            result._go_back(list(recipe.stages))
        except BaseException:
            result.lock.release()
            raise
        return result

    def _go_back(self, stages: list[str]) -> None:
        if others := changes(self.record["versions"], versions()):
            self.remarks.append(f"the run goes on with something else: {', '.join(others)}")
        self.point = self.checkpoints.reached(stages, self.remarks.append)
        point = self.point or {"stage": stages[0], "step": 0, "run": {"seconds": 0.0, "events": 0, "skipped": 0}}
        before = stages[: stages.index(point["stage"])]
        about = point["run"]
        self._started = time.monotonic() - about["seconds"]
        kept = self.events.cut(about["events"])
        self.log("resumed", stage=point["stage"], step=point["step"])
        done = {name: self.record["stages"].get(name, {}) for name in before}
        again = [*self.record.get("resumed", []), {"time": time.strftime(_STAMP), "step": point["step"]}]
        self.record |= {"status": "running", "error": None, "stages": done, "skipped": about["skipped"]}
        self.record |= {"resumed": again, "versions": versions()}
        self.record["warnings"] = [event["message"] for event in kept if event.get("event") == "warning"]
        self._write_record()
        for message in self.remarks:
            self.warn(message)

    @property
    def checkpoints(self) -> Checkpoints:
        """The stages' checkpoints."""
        return Checkpoints(self.path / "checkpoints", self.record["sha256"]["resolved.yaml"])

    @property
    def events(self) -> Events:
        """Everything that happened."""
        return Events(self.path / "events.jsonl")

    @property
    def seconds(self) -> float:
        """Since the run began; of a run that was stopped, without what was lost and the time between."""
        return time.monotonic() - self._started

    def log(self, event: str, **values: Any) -> None:
        """Append one line to events.jsonl."""
        with self._writing():
            self.events.append(event=event, time=round(self.seconds, 3), **values)

    def warn(self, message: str) -> None:
        """Record a remark, at once: observers may still have some when the run has ended."""
        if message not in self.record.setdefault("warnings", []):  # parts that are bound again say the same again
            self.record["warnings"].append(message)
            self.log("warning", message=message)
            self._write_record()

    def made_with(self, weights: Mapping[str, Mapping[str, Any]]) -> None:
        """Record which weights the priors have. Raises BadInput where a run would go on with others.

        Args:
            weights: source, revision and checksums, by prior and name.
        """
        known = self.record.setdefault("weights", {})
        for name, about in weights.items():
            if known.get(name, about)["sha256"] != about["sha256"]:
                remedy = "put them back as they were, or begin a new run"
                raise BadInput("are not what they were when the run began", place=f"weights of {name}", remedy=remedy)
        known.update(weights)
        self._write_record()

    def count(self, *, skipped: bool) -> int:
        """Count the steps that are skipped, and say how many have been in a row."""
        self.record["skipped"] += skipped
        self._skipped_in_a_row = self._skipped_in_a_row + 1 if skipped else 0
        return self._skipped_in_a_row

    def is_done(self, stage: str) -> bool:
        """Whether the stage was finished, and all of it recorded."""
        return stage in self.record["stages"]

    def final_state(self, stage: str) -> dict[str, Any]:
        """What a stage that is done has left. Raises BadInput where that cannot be read."""
        return load_checkpoint(self.checkpoints.final(stage))

    def restore(self, parts: StageParts, stage: Stage) -> int:
        """Put back the parts of the stage in which the run was stopped; how many steps are done, 0 in any other."""
        if self.point is None or self.point["stage"] != parts.name:
            return 0
        parts.load_state(self.point)
        done = int(self.point["step"])
        if done == stage.steps:  # no step follows that would tell the object where it is
            parts.representation.at(stage.step(done - 1))
        return done

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and record that it is done."""
        if self.point is not None and self.point["stage"] == name:
            self._stage_began = self.point["run"]["stage_began"]
        else:
            self._stage_began = self.seconds
            self.log("stage_started", stage=name)
        self.point, self._skipped_in_a_row = None, 0
        yield
        self.record["stages"][name] = {"seconds": round(self.seconds - self._stage_began, 2)}
        self.log("stage_finished", stage=name)
        self._write_record()

    def checkpoint(self, parts: StageParts, step: Step, *, now: bool = False) -> None:
        """Save after every `checkpoint_every` steps, `now`, and at a stage's end as its final object."""
        done, last = step.index + 1, step.index + 1 == step.total
        due = now or done % self.checkpoint_every == 0
        # What is saved in between can be gone back to: it gives finite losses.
        if last or (due and not self._skipped_in_a_row and parts.is_finite()):
            with self._writing():
                about = {"seconds": self.seconds, "stage_began": self._stage_began}
                about |= {"events": self.events.sync(), "skipped": self.record["skipped"]}
                self.checkpoints.save(parts.name, done, {"run": about, **parts.state()}, last=last)

    def roll_back(self, parts: StageParts) -> int:
        """Put the stage's newest checkpoint back, and say how many steps it has; 0 where there is none."""
        state = self.checkpoints.newest(parts.name, self.warn)
        if state is None:
            return 0
        parts.load_state(state)
        self.log("rolled_back", stage=parts.name, step=state["step"])
        return int(state["step"])

    def finish(self, error: BaseException | None, outputs: list[Path]) -> None:
        """Write how the run ended."""
        interrupted = isinstance(error, KeyboardInterrupt)
        self.record["status"] = "interrupted" if interrupted else "failed" if error else "done"
        self.record["error"] = f"{type(error).__name__}: {error}" if error else None
        self.record["seconds"] = round(self.seconds, 2)
        self.record["outputs"] = [str(path.relative_to(self.path)) for path in outputs]
        try:
            self._write_record()
        except Unavailable:
            if error is None:  # else there is something more important to tell
                raise

    def _write_record(self) -> None:
        with self._writing():
            write_atomically(self.path / "run.json", json.dumps(self.record, indent=2).encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = f"put that right, then: gen3d resume {self.path}"
            raise Unavailable(f"cannot be written: {error.strerror}", place=str(self.path), remedy=remedy) from error


def read_record(path: Path) -> dict[str, Any]:
    """What run.json holds. Raises BadInput where there is none, or none that can be resumed."""
    remedy = "give a directory that `gen3d run` has made"
    try:
        record = json.loads((path / "run.json").read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput("is no run directory", place=str(path), remedy=remedy) from error
    needed = {"status": str, "stages": dict, "versions": dict, "sha256": dict}
    if not isinstance(record, dict) or not all(isinstance(record.get(key), kind) for key, kind in needed.items()):
        raise BadInput("is no run.json of this version", place=str(path / "run.json"), remedy=remedy)
    return record


def _free(path: Path) -> Path:
    """The path, numbered where runs of the same second have it."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(candidate for candidate in chain([path], numbered) if not candidate.exists())


def dump_yaml(values: dict[str, Any]) -> bytes:
    """Plain values as YAML."""
    stream = io.BytesIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(values, stream)
    return stream.getvalue()
