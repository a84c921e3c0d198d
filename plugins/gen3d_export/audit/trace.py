"""Unlit pictures of triangles by rays: what a camera sees of a file, without an engine's lamps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Float, Int
from scipy.ndimage import map_coordinates

from gen3d.cameras import Cameras
from gen3d_export.audit.scene import Piece, Scene

SUPERSAMPLE = 2
"""Rays along each side of a pixel."""

Shader = Callable[[Int[np.ndarray, " hits"], Float[np.ndarray, "hits 3"]], Float[np.ndarray, "hits 3"]]
"""Colours, sRGB in [0, 1], from the faces that rays meet and the barycentric weights of the corners there."""


@dataclass(frozen=True, eq=False)
class Model:
    """What is drawn.

    Args:
        vertices: the world's frame.
        faces: both sides of which are drawn.
        shade: their colours.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    shade: Shader


def pictures(model: Model, cameras: Cameras) -> Float[np.ndarray, "views height width 3"]:
    """Antialiased, over white."""
    low, high = model.vertices.min(axis=0), model.vertices.max(axis=0)
    middle, size = (low + high) / 2, float((high - low).max())
    scene = EmbreeScene()
    TriangleMesh(scene, ((model.vertices - middle) / size).astype(np.float32), model.faces.astype(np.int32))
    fine = cameras.resized(cameras.height * SUPERSAMPLE, cameras.width * SUPERSAMPLE)
    images = []
    for view in range(len(fine)):
        origins, directions = (rays.reshape(-1, 3).double().numpy() for rays in fine[view].rays())
        # Embree computes in single precision: near 0, with the object of size 1, that is enough.
        found = scene.run(((origins - middle) / size).astype(np.float32), directions.astype(np.float32), output=True)
        hit = np.flatnonzero(found["primID"] >= 0)
        u, v = found["u"][hit].astype(np.float64), found["v"][hit].astype(np.float64)
        image = np.ones((len(origins), 3))
        image[hit] = model.shade(found["primID"][hit].astype(np.int64), np.stack([1 - u - v, u, v], axis=-1))
        images.append(image)
    return averaged(np.stack(images).reshape(len(fine), fine.height, fine.width, 3))


def averaged(images: Float[np.ndarray, "views fine_height fine_width 3"]) -> Float[np.ndarray, "views height width 3"]:
    """Each pixel as the mean of those that it is divided into."""
    views, height, width, _ = images.shape
    blocks = images.reshape(views, height // SUPERSAMPLE, SUPERSAMPLE, width // SUPERSAMPLE, SUPERSAMPLE, 3)
    return np.asarray(blocks.mean(axis=(2, 4)))


def of_scene(scene: Scene, vertices: Float[np.ndarray, "vertices 3"]) -> Model:
    """A file's meshes with their base colours, its vertices moved to where they are drawn."""
    starts = np.cumsum([0] + [len(piece.faces) for piece in scene.pieces])

    def shade(faces: Int[np.ndarray, " hits"], weights: Float[np.ndarray, "hits 3"]) -> Float[np.ndarray, "hits 3"]:
        colors = np.empty((len(faces), 3))
        for piece, start, end in zip(scene.pieces, starts[:-1], starts[1:], strict=True):
            own = (faces >= start) & (faces < end)
            colors[own] = base_color(piece, piece.faces[faces[own] - start], weights[own])
        return colors

    return Model(vertices, scene.faces, shade)


def base_color(
    piece: Piece, corners: Int[np.ndarray, "hits 3"], weights: Float[np.ndarray, "hits 3"]
) -> Float[np.ndarray, "hits 3"]:
    """Between the four texels around each point, or between the colours of the vertices; else white."""
    picture = piece.material.pictures.get("base_color") if piece.material else None
    if picture is None or piece.uv is None:
        colors = np.ones((len(piece.positions), 3)) if piece.colors is None else piece.colors
        return np.asarray(np.einsum("hcx,hc->hx", colors[corners], weights))
    u, v = np.einsum("hcx,hc->xh", piece.uv[corners], weights)
    width, height = picture.size
    places = np.stack([(1 - v) * height - 0.5, u * width - 0.5])
    mode = "grid-wrap" if picture.wraps else "nearest"
    channels = [map_coordinates(picture.pixels[..., i], places, np.float64, order=1, mode=mode) for i in range(3)]
    return np.stack(channels, axis=-1) / 255
