"""The file as a whole: names, place, size, cost."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gen3d_export.audit.limits import Limits
from gen3d_export.audit.read import COLLIDERS
from gen3d_export.audit.report import Finding, judge
from gen3d_export.audit.scene import Scene

NAME = re.compile(r"[a-z0-9_-]+")
"""What every engine and every file system takes."""

REAL = (0.005, 200.0)
"""Metres between which the longest side of a thing in a game lies."""

CENTRED = 0.01
"""How far the pivot may be from where it belongs, over the size."""

DRAW_CALLS = 1


def check(scene: Scene, limits: Limits) -> Iterator[Finding]:
    """Cost first."""
    triangles = sum(len(piece.faces) for piece in scene.pieces)
    yield _most("triangles", triangles, limits.triangles, f"export with triangles={limits.triangles}")
    calls = len(scene.pieces)
    yield judge("draw_calls", calls <= DRAW_CALLS, str(calls), str(DRAW_CALLS), "join the meshes and their materials")
    remedy = "lower the texture, or ask for a compressed GLB beside it"
    yield _most("file_size", scene.size / 1e6, limits.megabytes, remedy, " MB")
    yield _size(scene)
    yield _pivot(scene)


def check_names(scene: Scene) -> Iterator[Finding]:
    """Of nodes, meshes, materials and pictures; those of colliders are the engines' own."""
    odd = [name for name in scene.names if not NAME.fullmatch(name.removesuffix(".png")) and not COLLIDERS.search(name)]
    remedy = "export with a name of a-z, 0-9, _ and -"
    yield judge("names", not odd, ", ".join(map(repr, odd[:3] or scene.names[:3])) or "none", "a-z 0-9 _ -", remedy)


def check_extensions(scene: Scene) -> Iterator[Finding]:
    """A file for the web may need some: that is what it is for."""
    web = ".web" in scene.path.suffixes
    remedy = "use the file without compression: Unreal, Godot and Blender read few extensions"
    yield judge("extensions", not scene.required, ", ".join(scene.required) or "none", "none", remedy, mild=web)


def _most(name: str, value: float, limit: float | None, remedy: str, unit: str = "") -> Finding:
    told = f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
    if limit is None:
        return Finding(name, "pass", told + unit)
    return judge(name, value <= limit, told + unit, f"{limit:,}{unit}", remedy)


def _size(scene: Scene) -> Finding:
    value = " x ".join(f"{side:.3g}" for side in scene.extents) + " m"
    good = REAL[0] <= float(scene.extents.max()) <= REAL[1]
    return judge("size", good, value, f"{REAL[0]:g} to {REAL[1]:g} m", "export with height=0.3m or what it really is")


def _pivot(scene: Scene) -> Finding:
    """Whether the origin is where the JSON beside the file says; without one, below or in the middle."""
    low, high = scene.positions.min(axis=0), scene.positions.max(axis=0)
    middle, size = (low + high) / 2, float(scene.extents.max())
    places = {"bottom": np.array([middle[0], low[1], middle[2]]), "center": middle}
    found = next((name for name, place in places.items() if float(np.abs(place).max()) <= CENTRED * size), "elsewhere")
    wanted = (beside(scene.path) or {}).get("pivot")
    if wanted == "keep":
        return Finding("pivot", "pass", found, "kept")
    remedy = "export with pivot=bottom"
    good = found == wanted if wanted in places else found in places
    return judge("pivot", good, found, wanted or "bottom or center", remedy, mild=wanted is None)


def beside(path: Path) -> dict[str, Any] | None:
    """The figures that gen3d writes beside a file, where they are there and about this asset."""
    for stem in (path.stem, re.sub(r"(_LOD\d+|\.web)$", "", path.stem)):
        try:
            found = json.loads(path.with_name(f"{stem}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return None
