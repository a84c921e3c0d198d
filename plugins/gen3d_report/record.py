"""What a run directory tells about its run: read from its files alone, so that any run's page can be made again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gen3d.credits import credits_of
from gen3d.errors import BadInput, Gen3dError
from gen3d.recipe import Recipe

_LAST = 20
_REMEDY = "give a directory that `gen3d run` has made"
_SHAPE: dict[str, Any] = {"name": "", "recipe": "", "started": "", "skipped": 0, "stages": {}, "versions": {}}
_SHAPE |= {"sha256": {}, "weights": {}, "warnings": [], "outputs": [], "memory": {}, "janus": {}}

Curves = dict[str, dict[int, float | None]]
"""Values of a stage's terms by step; None where one was not finite."""


@dataclass(frozen=True)
class Record:
    """A run directory, read.

    Args:
        path: the directory.
        about: what run.json holds.
    """

    path: Path
    about: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Of a run that has ended, or is under way, and of earlier versions too: what it lacks is told as empty.

        Raises:
            BadInput: it is no run directory.
        """
        try:
            found = json.loads((path / "run.json").read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise BadInput("is no run directory", place=str(path), remedy=_REMEDY) from error
        if not isinstance(found, dict) or not isinstance(found.get("status"), str):
            raise BadInput("does not tell of a run", place=str(path / "run.json"), remedy=_REMEDY)
        return cls(path, found | {key: _like(found.get(key), empty) for key, empty in _SHAPE.items()})

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """What happened; a line that is damaged, or not yet written whole, is left out."""
        return list(_objects(self.path / "events.jsonl"))

    @cached_property
    def curves(self) -> dict[str, Curves]:
        """The terms by stage; of steps that were taken again, the later ones."""
        stages: dict[str, Curves] = {}
        for event in self.events:
            if event.get("event") == "step" and isinstance(event.get("terms"), dict):
                curves = stages.setdefault(str(event.get("stage")), {})
                for name, value in event["terms"].items():
                    curves.setdefault(name, {})[int(event["step"])] = value
        return stages

    @property
    def steps(self) -> dict[str, int]:
        """How many steps each stage that has begun has taken."""
        return {
            stage: max(step for curve in curves.values() for step in curve) + 1 if curves else 0
            for stage, curves in self.curves.items()
        }

    @property
    def last_terms(self) -> dict[str, float]:
        """The mean of each term over the last 20 steps of the last stage."""
        curves = list(self.curves.values())[-1] if self.curves else {}
        tails = {
            name: [v for _, v in sorted(curve.items())[-_LAST:] if v is not None] for name, curve in curves.items()
        }
        return {name: fmean(tail) for name, tail in tails.items() if tail}

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """The recipe as it was run; empty where that cannot be read."""
        try:
            values = YAML(typ="safe", pure=True).load(self.text("resolved.yaml"))
        except (YAMLError, ValueError, RecursionError):
            return {}
        return values if isinstance(values, dict) else {}

    @cached_property
    def asset(self) -> dict[str, Any]:
        """The figures of the exported asset; empty where nothing was exported."""
        return next(_objects(self.path / "asset" / "asset.json", whole=True), {})

    @property
    def credits(self) -> dict[str, Any]:
        """What the object was made with, and under which licences; empty where the recipe cannot be read."""
        known = self.asset.get("provenance")
        if isinstance(known, dict) and "models" in known:
            return known
        try:
            return credits_of(Recipe.load(self.path / "resolved.yaml"))
        except (Gen3dError, OSError, RecursionError):
            return {}

    @property
    def glb(self) -> Path | None:
        """The exported GLB."""
        outputs = [self.path / str(name) for name in self.about["outputs"]]
        return next((path for path in outputs if path.suffix.lower() == ".glb" and path.is_file()), None)

    def text(self, name: str) -> str:
        """A file of the directory; empty where there is none."""
        path = self.path / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def pictures(self, folder: str) -> dict[str, dict[int, Path]]:
        """Pictures named STAGE_000120.png by stage, in the order of the stages, and step."""
        found: dict[str, dict[int, Path]] = {stage: {} for stage in self.curves}
        for path in sorted((self.path / folder).glob("*_*.png")):
            stage, _, step = path.stem.rpartition("_")
            if step.isdecimal():
                found.setdefault(stage, {})[int(step)] = path
        return {stage: pictures for stage, pictures in found.items() if pictures}


def _like(value: Any, empty: Any) -> Any:
    """The value, or `empty` where it is of another type."""
    return value if isinstance(value, type(empty)) else empty


def _objects(path: Path, *, whole: bool = False) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file: one a line, or all of it."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    for part in [text] if whole else text.splitlines():
        try:
            value = json.loads(part)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value
