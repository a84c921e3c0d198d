"""A mesh that another program made, as a file gave it: what `--from` reads, and the paint and the geometry work on."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, UInt8


@dataclass(frozen=True, eq=False)
class SourceMaterial:
    """One material: factors, and pictures that multiply them where there are any (glTF 2.0, section 3.9).

    Args:
        base_color: linear factor.
        metallic: factor.
        roughness: factor.
        base_color_map: sRGB, row 0 at the top.
        metallic_roughness_map: linear; roughness in the second channel, metallic in the third.
        normal_map: tangent space, +Y up.
        occlusion_map: linear, in the first channel.
    """

    base_color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    metallic: float = 0.0
    roughness: float = 0.9
    base_color_map: UInt8[np.ndarray, "height width 3"] | None = None
    metallic_roughness_map: UInt8[np.ndarray, "mr_height mr_width 3"] | None = None
    normal_map: UInt8[np.ndarray, "n_height n_width 3"] | None = None
    occlusion_map: UInt8[np.ndarray, "o_height o_width 3"] | None = None


@dataclass(frozen=True, eq=False)
class SourceMesh:
    """All triangles of a file in one frame: ours (+Z up, the front on +X), in the file's units.

    Args:
        vertices: split wherever the file splits them.
        faces: counter-clockwise from outside, as far as the file is right.
        normals: of the vertices; None where the file has none.
        uv: v upwards, may leave [0, 1] and repeats; None where no material has a picture.
        colors: linear factors of the vertices; None where the file has none.
        material: index of each face's material.
        materials: at least one.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    normals: Float[np.ndarray, "vertices 3"] | None
    uv: Float[np.ndarray, "vertices 2"] | None
    colors: Float[np.ndarray, "vertices 3"] | None
    material: Int[np.ndarray, " faces"]
    materials: tuple[SourceMaterial, ...] = field(default=(SourceMaterial(),))
