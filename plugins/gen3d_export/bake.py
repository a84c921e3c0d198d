"""The pictures of a mesh: what its original surface looks like, texel by texel."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8

from gen3d_export.asset import Maps
from gen3d_export.bleed import nearest_covered
from gen3d_export.even import even_out
from gen3d_export.formats.pictures import METALLIC, ROUGHNESS
from gen3d_export.occlusion import occlusion as openness_picture
from gen3d_export.paint import Paint, Samples
from gen3d_export.raster import rasterise
from gen3d_export.seams import find_seams
from gen3d_export.tangents import to_tangent_space, with_tangents
from gen3d_export.target import Target, unit
from gen3d_export.unwrap import Unwrapped

BAND = 1 << 20
"""Samples at a time: bounds the memory."""

Tangents = Float[np.ndarray, "vertices 4"]


@dataclass(frozen=True, eq=False)
class Baked:
    """A mesh and its pictures.

    Args:
        mesh: what was unwrapped, its vertices split further where tangents differ.
        tangents: unit, with the bitangent's sign; None without a normal map.
        maps: its pictures.
    """

    mesh: Unwrapped
    tangents: Tangents | None
    maps: Maps


def bake(
    paint: Paint,
    mesh: Unwrapped,
    whole: trimesh.Trimesh,
    size: int,
    *,
    normal_map: bool = False,
    occlusion: bool = False,
) -> Baked:
    """Pictures of `size` texels a side for an unwrapped mesh.

    A texel is the mean of its four quarters, each of them looked up on the original surface. The background takes the
    nearest chart's colours, so that no mipmap mixes another in, and the seams are evened out.

    Args:
        paint: what the object looks like.
        mesh: simplified and unwrapped.
        whole: before it was simplified.
        size: texels along a side.
        normal_map: whether to bake the normals of the original surface.
        occlusion: whether to compute how much of its surroundings each point sees.

    Raises:
        Degenerate: a colour is not finite.
    """
    mesh, tangents = with_tangents(mesh) if normal_map else (mesh, None)
    target = paint.target(whole)
    pictures: dict[str, UInt8[np.ndarray, "texels 3"]] = {"base_color": np.zeros((size * size, 3), dtype=np.uint8)}
    covered = np.zeros(size * size, dtype=bool)
    for texels, values in _bands(paint, target, mesh, tangents, size):
        covered[texels] = True
        for name, means in values.items():
            pictures.setdefault(name, np.zeros((size * size, 3), dtype=np.uint8))[texels] = to_bytes(means)
    if occlusion:
        orm = pictures.setdefault("orm", np.tile(to_bytes(np.array([1, ROUGHNESS, METALLIC])), (size * size, 1)))
        if not paint.occluded:
            orm[:, 0] = to_bytes(openness_picture(mesh, Target.of(whole), size)).ravel()
    charts = covered.reshape(size, size)
    nearest = nearest_covered(charts)
    filled = {name: picture.reshape(size, size, 3)[nearest] for name, picture in pictures.items()}
    filled["base_color"] = even_out(filled["base_color"], charts, find_seams(mesh, size))
    return Baked(mesh, tangents, Maps(**filled))


def vertex_colors(
    paint: Paint,
    points: Float[np.ndarray, "points 3"],
    normals: Float[np.ndarray, "points 3"],
    whole: trimesh.Trimesh,
) -> Float[np.ndarray, "points 3"]:
    """Base colours of single points, sRGB in [0, 1], each the mean of its four parts."""
    index, part = np.divmod(np.arange(4 * len(points)), 4)
    hits = paint.target(whole).project(points[index], unit(normals)[index])
    return paint.look(hits, Samples(index, part, spacing=0.0)).colors.reshape(-1, 4, 3).mean(axis=1)


def _bands(
    paint: Paint, target: Target, mesh: Unwrapped, tangents: Tangents | None, size: int
) -> Iterator[tuple[Int[np.ndarray, " texels"], dict[str, Float[np.ndarray, "texels 3"]]]]:
    """Texels, and what is to be stored there, some rows at a time."""
    fine = 2 * size
    spacing = _spacing(mesh, fine)
    step = 2 * max(1, BAND // (2 * fine))
    for start in range(0, fine, step):
        samples = rasterise(mesh.uv, mesh.faces, fine, range(start, min(start + step, fine)))
        if not len(samples.pixels):
            continue
        row, column = np.divmod(samples.pixels, fine)
        texel, part = row // 2 * size + column // 2, row % 2 * 2 + column % 2
        points, normals = (samples.interpolate(values, mesh.faces) for values in (mesh.vertices, mesh.normals))
        look = paint.look(target.project(points, unit(normals)), Samples(texel, part, spacing))
        values = {"base_color": look.colors}
        if look.orm is not None:
            values["orm"] = look.orm
        if tangents is not None:
            values["normal"] = to_tangent_space(look.normals, normals, samples.interpolate(tangents, mesh.faces))
        yield _means(texel, values)


def _spacing(mesh: Unwrapped, size: int) -> float:
    """Distance of the samples of a picture, in the mean over the surface."""
    p, t = mesh.vertices[mesh.faces], mesh.uv[mesh.faces]
    area = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1).sum()
    (u1, v1), (u2, v2) = (t[:, 1] - t[:, 0]).T, (t[:, 2] - t[:, 0]).T
    return float(np.sqrt(area / np.abs(u1 * v2 - u2 * v1).sum().clip(1e-30)) / size)


def _means(
    texel: Int[np.ndarray, " samples"], values: dict[str, Float[np.ndarray, "samples 3"]]
) -> tuple[Int[np.ndarray, " texels"], dict[str, Float[np.ndarray, "texels 3"]]]:
    """Each covered texel once, with the mean over its samples."""
    covered, inverse, count = np.unique(texel, return_inverse=True, return_counts=True)
    means = {
        name: np.stack([np.bincount(inverse, channel) for channel in samples.T], axis=-1) / count[:, None]
        for name, samples in values.items()
    }
    if "normal" in means:
        means["normal"] = unit(means["normal"]) / 2 + 0.5
    return covered, means


def to_bytes(values: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """[0, 1] as 8 bits."""
    return np.round(values.clip(0, 1) * 255).astype(np.uint8)
