"""PLY with a colour at each vertex."""

from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float, UInt8
from scipy.ndimage import map_coordinates

from gen3d_export.asset import Body


def write_ply(path: Path, _name: str, body: Body) -> None:
    """Binary PLY with a normal and a colour at each vertex, welded where only charts had split it."""
    _, first, inverse = np.unique(
        np.column_stack([body.vertices, body.normals]), axis=0, return_index=True, return_inverse=True
    )
    mesh = trimesh.Trimesh(
        body.vertices[first],
        inverse.ravel()[body.faces],
        vertex_normals=body.normals[first],
        vertex_colors=vertex_colors(body)[first],
        process=False,
    )
    mesh.export(path, vertex_normal=True)


def vertex_colors(body: Body) -> UInt8[np.ndarray, "vertices 3"]:
    """The base colour at each vertex, between the four texels around it."""
    height, width = body.maps.base_color.shape[:2]
    place = np.stack([(1 - body.uv[:, 1]) * height - 0.5, body.uv[:, 0] * width - 0.5])
    channels = np.moveaxis(body.maps.base_color.astype(float), -1, 0)
    colors: Float[np.ndarray, "vertices 3"] = np.stack(
        [map_coordinates(channel, place, order=1, mode="nearest") for channel in channels], axis=-1
    )
    return np.round(colors).astype(np.uint8)
