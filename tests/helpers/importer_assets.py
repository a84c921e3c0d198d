"""What the importers are given: assets of every preset and every flag, and what must come out."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from soft_shapes import Shape, soft_ball

SMALL = {"triangles": 1500, "texture": 128, "resolution": 48}

ASSETS: dict[str, dict[str, Any]] = {
    "plain": {**SMALL, "format": ["glb", "obj", "ply"]},
    "detailed": {**SMALL, "preset": "prop", "lods": 2, "height": "30cm", "collision": "convex:3", "engine": "godot"},
    "boxed": {**SMALL, "preset": "mobile", "collision": "box", "engine": "unreal", "pivot": "center"},
    "unity": {**SMALL, "preset": "hero", "collision": "convex:2", "engine": "unity", "pivot": "keep"},
    "blender": {**SMALL, "preset": "film", "engine": "blender", "format": ["glb", "obj"]},
    "draco": {**SMALL, "preset": "prop", "compress": "draco"},
    "meshopt": {**SMALL, "preset": "prop", "compress": "meshopt"},
    "usdz": {**SMALL, "preset": "prop", "format": ["glb", "usdz"]},
    **{name: {"preset": name, "lods": 3, "collision": "convex:4"} for name in ("mobile", "prop", "hero")},
    "film": {"preset": "film", "resolution": 288},
}
"""Keys of the exporter, by a name. The last four are what people get; they take minutes, so `make importers-test`."""

FULL = ("mobile", "prop", "hero", "film")

LONGEST = 1800
"""Seconds for an asset of full size and a program that reads it."""


def cases(*names: str) -> list[Any]:
    """The names as parameters of a test; those that take long are marked, and given the time."""
    marks = [pytest.mark.importers, pytest.mark.timeout(LONGEST)]
    return [pytest.param(name, marks=marks if name in FULL else []) for name in names]


def subject() -> Shape:
    """A ball: red towards the front, green to the left as it looks, blue on top, cyan behind."""
    return soft_ball(softness=0.004, voxel_size=1 / 32)


@dataclass(frozen=True)
class Export:
    """What was written.

    Args:
        folder: where.
    """

    folder: Path

    @property
    def glb(self) -> Path:
        """The main file."""
        return self.folder / "thing.glb"

    @property
    def glbs(self) -> list[Path]:
        """All levels, hulls and web files."""
        return sorted(self.folder.glob("*.glb"))

    @cached_property
    def figures(self) -> dict[str, Any]:
        """The JSON beside it."""
        return json.loads((self.folder / "thing.json").read_text())

    def level(self, file: Path) -> dict[str, Any]:
        """The figures of one file of a level of detail."""
        return next(level for level in self.figures["levels"] if Path(level["file"]).stem == file.stem)
