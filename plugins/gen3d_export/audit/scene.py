"""What a file holds, as far as an audit looks at it."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, UInt8

Role = Literal["base_color", "metallic_roughness", "normal", "occlusion", "metallic", "roughness", "emissive"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A texture.

    Args:
        name: in the file, or the name of its own file.
        pixels: the first three channels, row 0 at the top.
        wraps: whether its left edge is mixed with its right one.
    """

    name: str
    pixels: UInt8[np.ndarray, "height width 3"]
    wraps: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True, eq=False)
class Material:
    """How a surface looks. A factor is None where the file leaves it to the reader."""

    name: str
    metallic: float | None = None
    roughness: float | None = None
    base_color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    opacity: float = 1.0
    pictures: dict[Role, Picture] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Piece:
    """Triangles that are drawn in one call, where their node puts them.

    Args:
        name: of the node.
        positions: the file's units and axes.
        faces: counter-clockwise from outside, as far as the file is right.
        normals: as they are in the file, of any length; None where there are none.
        uv: v upwards; None where there are none.
        tangents: with the handedness of the bitangent in the last place; None where there are none.
        colors: of the vertices, sRGB in [0, 1]; None where there are none.
        material: None where the file names none.
    """

    name: str
    positions: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    normals: Float[np.ndarray, "vertices 3"] | None = None
    uv: Float[np.ndarray, "vertices 2"] | None = None
    tangents: Float[np.ndarray, "vertices 4"] | None = None
    colors: Float[np.ndarray, "vertices 3"] | None = None
    material: Material | None = None

    @cached_property
    def corners(self) -> Float[np.ndarray, "faces 3 3"]:
        """Positions of the corners of each face."""
        return self.positions[self.faces]


@dataclass(frozen=True, eq=False)
class Scene:
    """A whole file.

    Args:
        path: of the file.
        pieces: what is seen.
        hulls: what only collides, told by the names of the nodes.
        names: of everything that has one.
        required: extensions without which the file cannot be read.
        size: bytes, with all the files that it names.
    """

    path: Path
    pieces: tuple[Piece, ...]
    hulls: tuple[Piece, ...]
    names: tuple[str, ...]
    required: tuple[str, ...]
    size: int

    @cached_property
    def positions(self) -> Float[np.ndarray, "vertices 3"]:
        """Of all pieces."""
        return np.concatenate([piece.positions for piece in self.pieces])

    @cached_property
    def faces(self) -> Int[np.ndarray, "faces 3"]:
        """Of all pieces, over `positions`."""
        counts = np.cumsum([0] + [len(piece.positions) for piece in self.pieces])
        return np.concatenate([piece.faces + start for piece, start in zip(self.pieces, counts, strict=False)])

    @cached_property
    def welded(self) -> tuple[Float[np.ndarray, "places 3"], Int[np.ndarray, "faces 3"]]:
        """Distinct places, and the faces over them: what is split along seams is whole again."""
        places, inverse = np.unique(self.positions, axis=0, return_inverse=True)
        return places, inverse.ravel()[self.faces]

    @cached_property
    def extents(self) -> Float[np.ndarray, "3"]:
        """Sides of the bounding box."""
        return np.ptp(self.positions, axis=0)

    @property
    def materials(self) -> tuple[Material, ...]:
        """Each that a piece has, once."""
        return tuple({id(p.material): p.material for p in self.pieces if p.material is not None}.values())

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Each that a material has, once."""
        return tuple({id(x): x for material in self.materials for x in material.pictures.values()}.values())
