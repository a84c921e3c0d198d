"""A finished asset, in the frame and the units of the files: what pipelines make and formats write."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8


@dataclass(frozen=True, eq=False)
class Maps:
    """The pictures of one material, 8 bits a channel, row 0 at the top, all of one size.

    Args:
        base_color: sRGB.
        orm: occlusion, roughness, metallic, linear; None where there is nothing but the material's factors.
        normal: tangent space, +Y up (OpenGL), linear, MikkTSpace; None where there is none.
    """

    base_color: UInt8[np.ndarray, "height width 3"]
    orm: UInt8[np.ndarray, "height width 3"] | None = None
    normal: UInt8[np.ndarray, "height width 3"] | None = None


@dataclass(frozen=True, eq=False)
class Body:
    """One level of detail: triangles over vertices that are split along the seams of the texture.

    Args:
        vertices: metres, +Y up, the front on +Z.
        faces: counter-clockwise from outside.
        normals: unit, smooth across seams.
        uv: in [0, 1], v upwards.
        tangents: unit, with the handedness of the bitangent in the last place; None without a normal map.
        maps: its textures.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    normals: Float[np.ndarray, "vertices 3"]
    uv: Float[np.ndarray, "vertices 2"]
    tangents: Float[np.ndarray, "vertices 4"] | None
    maps: Maps


@dataclass(frozen=True, eq=False)
class Hull:
    """A convex piece of the collision shape, in the body's frame."""

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]


@dataclass(frozen=True, eq=False)
class Asset:
    """Everything about one object.

    Args:
        name: of the node, the mesh, the material and the files.
        levels: the finest first.
        hulls: none where nothing is to collide.
    """

    name: str
    levels: tuple[Body, ...]
    hulls: tuple[Hull, ...] = ()
