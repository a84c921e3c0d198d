"""Meshes from files, as they are drawn and measured: flattened, upright, a colour at every point of the surface."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, Int
from PIL import Image
from trimesh.visual import color

from gen3d.errors import BadInput

TO_WORLD = np.array([[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
"""glTF (X, Y, Z), +Y up, front +Z, to our (Z, X, Y), +Z up, front +X: undoes the exporters' (x, y, z) -> (y, z, x)."""

SUFFIXES = (".glb", ".gltf", ".obj", ".ply")
_LINEAR = (".glb", ".gltf")  # their colour factors and vertex colours are linear light; textures are sRGB everywhere
_GREY = 0.7  # of a surface without any colour


@dataclass(frozen=True, eq=False)
class Model:
    """A surface and its colours, straight sRGB in [0, 1]: the texture at `uv` times `colors`.

    Args:
        mesh: all parts in one.
        part: which of `textures` each face has.
        uv: texture coordinates, V upwards.
        colors: vertex colour times material colour.
        textures: (rows, columns, 3), one for each part; None where it has none.
    """

    mesh: trimesh.Trimesh
    part: Int[np.ndarray, " faces"]
    uv: Float[np.ndarray, "vertices 2"]
    colors: Float[np.ndarray, "vertices 3"]
    textures: list[np.ndarray | None]


def load_model(path: Path, *, normalize: bool = True) -> Model:
    """Read a GLB, glTF, OBJ or PLY file into our axes, by default centred on its bounding box with longest side 1.

    Raises:
        BadInput: the file cannot be read, or holds no surface that could be drawn.
    """
    parts = list(_parts(path))
    if not parts:
        raise BadInput("holds no triangles", place=str(path))
    textures, colors, uvs = zip(*(_paint(part, linear=path.suffix.lower() in _LINEAR) for part in parts), strict=True)
    mesh = _joined(parts)
    if not (np.isfinite(mesh.vertices).all() and mesh.extents.max() > 0):
        raise BadInput("has no extent, or vertices that are not finite numbers", place=str(path))
    mesh.apply_transform(TO_WORLD)
    owner = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
    uv = np.concatenate(uvs)
    return Model(normalized(mesh) if normalize else mesh, owner, uv, np.concatenate(colors), list(textures))


def normalized(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with its bounding box centred at the origin and the box's longest side 1."""
    moved = mesh.copy(include_cache=True)
    moved.apply_translation(-moved.bounds.mean(axis=0))
    moved.apply_scale(1 / moved.extents.max())
    return moved


def _parts(path: Path) -> Iterator[trimesh.Trimesh]:
    """Each mesh of the scene where its node puts it."""
    try:
        scene = trimesh.load_scene(path, process=False)
    except Exception as error:  # readers of broken files raise whatever they stumble over
        cause = f"cannot be read as a mesh ({type(error).__name__}: {error})"
        raise BadInput(cause, place=str(path), remedy=f"give a {', '.join(SUFFIXES)} file") from error
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        geometry = scene.geometry[name]
        if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
            yield geometry.copy(include_cache=True).apply_transform(transform)


def _joined(parts: list[trimesh.Trimesh]) -> trimesh.Trimesh:
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return trimesh.Trimesh(
        vertices=np.concatenate([part.vertices for part in parts]),
        faces=np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=True)]),
        vertex_normals=np.concatenate([part.vertex_normals for part in parts]),
        process=False,
    )


def _paint(
    part: trimesh.Trimesh, *, linear: bool
) -> tuple[np.ndarray | None, Float[np.ndarray, "vertices 3"], Float[np.ndarray, "vertices 2"]]:
    """Texture, colours and texture coordinates of one mesh. Alpha is ignored: all materials are opaque."""
    count, visual = len(part.vertices), part.visual
    if visual.kind != "texture":
        colors = _rgb(visual.vertex_colors, linear=linear) if visual.defined else np.full((count, 3), _GREY)
        return None, colors, np.zeros((count, 2))
    texture, factor = _material(visual.material)
    colors = np.tile(_rgb(factor, linear=linear), (count, 1))
    if "color" in visual.vertex_attributes:
        colors = colors * _rgb(visual.vertex_attributes["color"], linear=linear)
    if visual.uv is None or texture is None:
        return None, colors, np.zeros((count, 2))
    return np.asarray(texture.convert("RGB")) / 255, colors, np.asarray(visual.uv, dtype=np.float64)


def _material(material: Any) -> tuple[Image.Image | None, Any]:
    """Picture and colour factor of either kind of material."""
    if hasattr(material, "baseColorTexture"):
        return material.baseColorTexture, material.baseColorFactor
    # Programs write any Kd beside a picture, and most readers show the picture alone.
    return material.image, material.diffuse if material.image is None else None


def _rgb(value: Any, *, linear: bool) -> Float[np.ndarray, "*rows 3"]:
    """Colours, integers or floats, as sRGB in [0, 1]; white for None."""
    if value is None:
        return np.ones(3)
    rgb = color.to_float(np.asarray(value))[..., :3]
    return np.asarray(color.linear_to_srgb(rgb) if linear else rgb, dtype=np.float64)
