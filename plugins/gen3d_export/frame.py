"""From our frame and units to those of the files: the only place that knows both."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from gen3d.errors import BadInput

Pivot = Literal["bottom", "center", "keep"]

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "ft": 0.3048, "in": 0.0254}
"""Units that a height can be given in."""

EXTREMES = (1e-4, 1e5)
"""Metres between which float32 coordinates, and the physics of engines, still work."""


def to_gltf(vectors: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """(x, y, z) -> (y, z, x), for positions and directions.

    Ours has +Z up and the pictured side on +X; glTF (2.0, section 3.4) has +Y up and the front on +Z. A cyclic change
    of axes keeps handedness, hence winding.
    """
    return vectors[..., [1, 2, 0]]


def from_gltf(vectors: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """The inverse of `to_gltf`, for files that are read."""
    return vectors[..., [2, 0, 1]]


def from_z_up(vectors: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """From +Z up and the front on -Y, as programs for construction and printing have it, to ours."""
    return vectors[..., [1, 0, 2]] * [-1.0, 1.0, 1.0]


@dataclass(frozen=True, eq=False)
class Frame:
    """How one object is placed in its files; the same for all levels of detail and hulls.

    Args:
        origin: the place of our frame that becomes the files' origin.
        scale: metres of one unit.
    """

    origin: Float[np.ndarray, "3"]
    scale: float

    @classmethod
    def around(
        cls,
        vertices: Float[np.ndarray, "vertices 3"],
        pivot: Pivot = "bottom",
        height: float | None = None,
        unit: float | None = None,
    ) -> "Frame":
        """The frame in which an object has its pivot at the origin and the asked size.

        Args:
            vertices: of the object, ours.
            pivot: the middle of the bounding box's underside, or of the box; `keep` leaves the origin where it is.
            height: metres from the lowest to the highest point.
            unit: metres of a unit, where there is no height; None makes the longest side 1 m.
        """
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        extents, middle = high - low, (low + high) / 2
        origin = {"keep": np.zeros(3), "center": middle, "bottom": np.array([middle[0], middle[1], low[2]])}[pivot]
        scale = height / extents[2] if height else unit or 1 / extents.max()
        return cls(origin, float(scale))

    def places(self, points: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
        """Positions in the files: axes, pivot and metres."""
        return to_gltf((points - self.origin) * self.scale)


def metres(height: str | float) -> float:
    """A length such as 0.3, "0.3m", "30 cm", "12in". Raises BadInput for what is none, or none that can be built."""
    match = re.fullmatch(r"([0-9.eE+-]+)\s*(m|cm|mm|ft|in)?", str(height).strip())
    try:
        value = float(match[1]) * METRES[match[2] or "m"] if match else float("nan")
    except ValueError:
        value = float("nan")
    low, high = EXTREMES
    if not low <= value <= high:
        remedy = f"it is a length such as 0.3m, 30cm, 300mm, 1ft or 12in, from {low:g} to {high:g} metres"
        raise BadInput(f"height is {height!r}", remedy=remedy)
    return value
