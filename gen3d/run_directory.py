"""The files of a run: recipe.yaml, resolved.yaml, run.json, events.jsonl, checkpoints/, preview/, asset/."""

from __future__ import annotations

import io
import json
import math
import platform
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from gen3d.checkpoint import load_checkpoint, save_checkpoint, write_atomically
from gen3d.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gen3d.part import Step
    from gen3d.recipe import Recipe
    from gen3d.stage import StageParts

PACKAGES = ("gen3d", "torch", "diffusers", "transformers", "kornia", "trimesh", "xatlas", "safetensors", "numpy")
KEPT = 2
"""Checkpoints that are kept of a running stage."""


@dataclass
class RunDirectory:
    """Where a run writes, and what has been written about it so far."""

    path: Path
    checkpoint_every: int
    record: dict[str, Any]
    _started: float = field(default_factory=time.monotonic)
    _rolled_back: bool = False

    @classmethod
    def create(cls, recipe: Recipe) -> RunDirectory:
        """Make the directory with the recipe in it. Raises BadInput where that is not possible."""
        stamp = time.strftime("%Y-%m-%d_%H%M%S")
        output = recipe.get("output")
        name = re.sub(r"[^\w.-]+", "_", recipe.name)
        path = Path(output) if output else _free(Path("runs", f"{stamp}-{name}"))
        place, remedy = recipe.config.place(("output",)), "choose another output=DIRECTORY"
        try:
            files = {"recipe.yaml": recipe.text.encode(), "resolved.yaml": dump_yaml(recipe.resolved())}
            for file in ("run.json", *files):
                if (path / file).exists():
                    raise BadInput(f"{path} already holds a {file}", place=place, remedy=remedy)
            path.mkdir(parents=True, exist_ok=True)
            for file, data in files.items():
                write_atomically(path / file, data)
            (path / "events.jsonl").touch()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadInput(f"{path} cannot be written: {reason}", place=place, remedy=remedy) from error
        record = {"status": "running", "recipe": str(recipe.path), "name": recipe.name, "stages": {}}
        record |= {"started": stamp, "versions": versions()}
        result = cls(path, int(recipe.get("checkpoint_every", 500)), record)
        result._write_record()
        return result

    def log(self, event: str, **values: Any) -> None:
        """Append one line to events.jsonl."""
        line = _json({"event": event, "time": round(time.monotonic() - self._started, 3), **values})
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def warn(self, messages: list[str]) -> None:
        """Record all remarks so far, at once: observers may still have some when the run has ended."""
        self.record["warnings"] = messages
        self.log("warning", message=messages[-1])
        self._write_record()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and record that it is done."""
        started = time.monotonic()
        self._rolled_back = False
        self.log("stage_started", stage=name)
        yield
        self.record["stages"][name] = {"seconds": round(time.monotonic() - started, 2)}
        self.log("stage_finished", stage=name)
        self._write_record()

    def checkpoint(self, parts: StageParts, step: Step) -> None:
        """Save after every `checkpoint_every` steps, and at a stage's end as its final object."""
        done, last = step.index + 1, step.index + 1 == step.total
        if last or done % self.checkpoint_every == 0:
            folder = self.path / "checkpoints"
            name = "final" if last else f"{done:08d}"
            state = {"stage": parts.name, "step": done, **parts.state()}
            save_checkpoint(folder / f"{parts.name}-{name}.safetensors", state)
            for old in self._saved(parts)[: None if last else -KEPT]:
                old.unlink()

    def roll_back(self, parts: StageParts) -> bool:
        """Put the stage's newest checkpoint back; False where there is none, or it was tried before."""
        saved = self._saved(parts)
        if not saved or self._rolled_back:
            return False
        self._rolled_back = True
        parts.load_state(load_checkpoint(saved[-1]))
        self.log("rolled_back", stage=parts.name, checkpoint=saved[-1].name)
        return True

    def finish(self, error: BaseException | None, outputs: list[Path]) -> None:
        """Write how the run ended."""
        interrupted = isinstance(error, KeyboardInterrupt)
        self.record["status"] = "interrupted" if interrupted else "failed" if error else "done"
        self.record["error"] = f"{type(error).__name__}: {error}" if error else None
        self.record["seconds"] = round(time.monotonic() - self._started, 2)
        self.record["outputs"] = [str(path.relative_to(self.path)) for path in outputs]
        self._write_record()

    def _saved(self, parts: StageParts) -> list[Path]:
        """The checkpoints of the running stage, oldest first."""
        digits = "[0-9]" * 8  # as many as were written: another stage may be called "shape-2"
        return sorted((self.path / "checkpoints").glob(f"{parts.name}-{digits}.safetensors"))

    def _write_record(self) -> None:
        write_atomically(self.path / "run.json", json.dumps(self.record, indent=2).encode())


def _free(path: Path) -> Path:
    """The path, numbered where runs of the same second have it."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(candidate for candidate in chain([path], numbered) if not candidate.exists())


def _json(value: Any) -> Any:
    """The value with null for numbers that JSON has no words for."""
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions() -> dict[str, str]:
    """Versions of Python, the platform and the packages that decide a result."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def dump_yaml(values: dict[str, Any]) -> bytes:
    """Plain values as YAML."""
    stream = io.BytesIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(values, stream)
    return stream.getvalue()
