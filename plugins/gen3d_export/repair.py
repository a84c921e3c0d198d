"""Welding and repair: at most two faces an edge, one fan a vertex, nothing degenerate, closed pieces outwards.

Where pieces touch along an edge or at a point, each gets vertices of its own: closed pieces stay closed, and the tools
that come later, some of which never end on such edges, have nothing to trip over.
"""

import numpy as np
import trimesh
from jaxtyping import Float, Int

from gen3d_export.edges import Edges, connected, outward_volume, row_keys
from gen3d_export.fans import parted

WELD = 1e-7
"""Distance of vertices that are one, as a share of the longest side: what single precision can tell apart."""

Mesh = tuple[Float[np.ndarray, "_ 3"], Int[np.ndarray, "_ 3"]]


def repair(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh without duplicate vertices and faces, manifold, each piece wound alike, closed ones outwards.

    What is open stays open, and what is empty comes out empty.
    """
    vertices, faces = weld(np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64))
    return manifold(trimesh.Trimesh(vertices, faces, process=False))


def manifold(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A welded mesh made manifold, each piece wound alike, closed ones outwards."""
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    if len(faces):
        vertices, faces = parted(vertices, turned_out(vertices, oriented(faces)))
    return trimesh.Trimesh(vertices, faces, process=False)


def weld(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> Mesh:
    """Vertices at one place are one; faces with a corner twice go, and copies of a face that are wound alike.

    A face and its back face both stay: that is how games model leaves.
    """
    if not len(faces):
        return vertices[:0], faces
    used, compact = np.unique(faces, return_inverse=True)
    places = vertices[used]
    cell = WELD * max(np.ptp(places, axis=0).max(), np.finfo(np.float32).tiny)
    cells = np.round((places - places.min(axis=0)) / cell).astype(np.int64)
    _, first, place = np.unique(row_keys(cells), return_index=True, return_inverse=True)
    faces = place[compact.reshape(-1, 3)]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    lowest = (faces.argmin(axis=1)[:, None] + np.arange(3)) % 3
    _, single = np.unique(row_keys(np.take_along_axis(faces, lowest, axis=1)), return_index=True)
    return places[first], faces[np.sort(single)]


def oriented(faces: Int[np.ndarray, "faces 3"]) -> Int[np.ndarray, "faces 3"]:
    """Faces that meet in twos wound alike, the way most of them were; a patch with one side only stays as it is.

    Every face is there twice, as it is and turned over, and both are linked to what they fit to on the other side of
    each edge: a patch falls into two sheets, of which one is taken.
    """
    edges, count = Edges.of(faces), len(faces)
    twins = edges.twins()
    one, other = (twins // 3).T
    turned = ~edges.opposite(twins) * count
    links = np.concatenate([np.stack([one, other + turned], -1), np.stack([one + count, other + count - turned], -1)])
    sheet, back = connected(links, 2 * count).reshape(2, -1)
    kept = np.bincount(sheet, minlength=2 * count)
    over = (kept[sheet] < kept[back]) | ((kept[sheet] == kept[back]) & (sheet > back))
    return np.where(over[:, None], faces[:, ::-1], faces)


def turned_out(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Int[np.ndarray, "faces 3"]:
    """Faces with every closed piece turned so that its volume is positive. What is open has no inside.

    A piece that touches others and fits them, as many faces one way around each edge as the other way, stays: it may
    be the wall of a hollow.
    """
    edges = Edges.of(faces)
    piece = connected(edges.twins() // 3, len(faces))
    upwards = np.bincount(edges.edge, edges.start < edges.end)
    rim, touching = edges.count == 1, edges.count > 2  # noqa: PLR2004 (two faces an edge)
    is_open, touches, clashes = (
        np.bincount(piece[np.flatnonzero(which[edges.edge]) // 3], minlength=piece.max() + 1) > 0
        for which in (rim, touching, touching & (2 * upwards != edges.count))
    )
    over = ~is_open & (clashes | ~touches) & (outward_volume(vertices, faces, piece) < 0)
    return np.where(over[piece][:, None], faces[:, ::-1], faces)
