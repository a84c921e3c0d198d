"""The files of a run: recipe.yaml, resolved.yaml, run.json, events.jsonl, checkpoints/, preview/, asset/."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from gen3d.checkpoint import load_checkpoint, write_atomically
from gen3d.errors import BadInput
from gen3d.journal import Journal
from gen3d.lock import LOCK, locked
from gen3d.provenance import changes, check_unchanged, sha256, versions
from gen3d.run_checkpoints import Checkpoints
from gen3d.run_record import read_record

if TYPE_CHECKING:
    from gen3d.part import Stage, Step
    from gen3d.recipe import Recipe
    from gen3d.stage import StageParts

_STAMP = "%Y-%m-%d_%H%M%S"


@dataclass
class RunDirectory(Journal):
    """Where a run writes, and what has been written about it so far.

    Args:
        checkpoint_every: steps.
        point: the checkpoint from which a run that was stopped goes on.
    """

    checkpoint_every: int
    point: dict[str, Any] | None = None
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
        result = cls(path, record, lock, int(recipe.get("checkpoint_every", 500)))
        result.write_record()
        return result

    @classmethod
    def reopen(cls, path: Path, recipe: Recipe) -> RunDirectory:
        """Go back to where a run can be trusted, and forget what came after.

        Raises:
            BadInput: the directory is no run's, another process writes to it, or what the run is made of has changed.
        """
        result = cls(path, {}, locked(path), int(recipe.get("checkpoint_every", 500)))
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
        done = {name: self.record["stages"].get(name, {}) for name in before}
        now = {"time": time.strftime(_STAMP), "stage": point["stage"], "step": point["step"]}
        again = [*self.record.get("resumed", []), now]
        self.record |= {"status": "running", "error": None, "stages": done, "skipped": about["skipped"]}
        self.record |= {"resumed": again, "versions": versions()}
        self.record["warnings"] = [str(event.get("message")) for event in kept if event.get("event") == "warning"]
        self.write_record()

    @property
    def checkpoints(self) -> Checkpoints:
        """The stages' checkpoints."""
        return Checkpoints(self.path / "checkpoints", self.record["sha256"]["resolved.yaml"])

    def made_with(self, weights: Mapping[str, Mapping[str, Any]]) -> None:
        """Record which weights the priors have. Raises BadInput where a run would go on with others.

        Args:
            weights: source, revision and checksums, by prior and name.
        """
        known = self.record.setdefault("weights", {})
        for name, about in weights.items():
            if known.get(name, about).get("sha256") != about["sha256"]:
                remedy = "put them back as they were, or begin a new run"
                raise BadInput("are not what they were when the run began", place=f"weights of {name}", remedy=remedy)
        known.update(weights)
        self.write_record()

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
        self.write_record()

    def checkpoint(self, parts: StageParts, step: Step, *, now: bool = False) -> None:
        """Save after every `checkpoint_every` steps, `now`, and at a stage's end as its final object."""
        done, last = step.index + 1, step.index + 1 == step.total
        due = now or done % self.checkpoint_every == 0
        # What is saved in between can be gone back to: it gives finite losses.
        if last or (due and not self._skipped_in_a_row and parts.is_finite()):
            with self.writing():
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
