"""Closed, the right way round, and without slivers."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array, csgraph

from gen3d_export.audit.report import Finding, judge
from gen3d_export.audit.scene import Piece, Scene

SLIVER = 1e-7
"""Height over the object's size under which a triangle is none: about what float32 coordinates resolve."""

MOST_CORNERS = 255
"""Vertices, and triangles, that PhysX takes in a convex hull."""

HOLLOW = 5e-3
"""How far a convex hull's vertices may stand out of its faces' planes, over its size."""


def check(scene: Scene) -> Iterator[Finding]:
    """Of the visible mesh, welded by position."""
    places, faces = scene.welded
    size = float(scene.extents.max())
    yield _degenerate(places[faces], size)
    solid = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    count, forward = _edges(solid, len(places))
    loose, crowded = int((count == 1).sum()), int((count > 2).sum())  # noqa: PLR2004 (two faces an edge)
    remedy = "export with gen3d, which closes holes, or close them in a modelling program"
    yield judge("closed", not loose, f"{loose} open edges of {len(count)}", "0", remedy)
    remedy = "decimate less (more triangles), or export again: gen3d repairs what touches itself"
    yield judge("manifold", not crowded, f"{crowded} edges with more than two faces", "0", remedy)
    astray = int(((count == 2) & (forward != 1)).sum())  # noqa: PLR2004 (two faces an edge)
    remedy = "make the normals consistent (Blender: Mesh, Normals, Recalculate Outside)"
    yield judge("winding", not astray, f"{astray} edges whose faces disagree", "0", remedy)
    inward = _inside_out(places, solid)
    yield judge("outward", not inward, f"{inward} pieces inside out", "0", "flip their faces")


def check_hulls(scene: Scene) -> Iterator[Finding]:
    """Of what only collides: within the engines' limits, and convex."""
    if not scene.hulls:
        return
    most = max(max(len(hull.faces), len(np.unique(hull.positions, axis=0))) for hull in scene.hulls)
    value = f"{len(scene.hulls)} hulls, at most {most} triangles or vertices"
    remedy = "export with fewer vertices to a hull"
    yield judge("hulls", most <= MOST_CORNERS, value, f"{MOST_CORNERS} each", remedy)
    hollow = sum(not convex(hull) for hull in scene.hulls)
    yield judge("convex", not hollow, f"{hollow} hulls are not convex", "0", "export the hulls again")


def convex(hull: Piece) -> bool:
    """Whether no vertex stands out of a face's plane, within the tolerance."""
    corners = hull.corners
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-30)
    out = hull.positions @ normals.T - (corners[:, 0] * normals).sum(axis=1)
    return bool(out.max() <= HOLLOW * np.ptp(hull.positions, axis=0).max())


def _degenerate(corners: Float[np.ndarray, "faces 3 3"], size: float) -> Finding:
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max(axis=1)
    doubled = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1)
    flat = doubled <= SLIVER * size * sides  # height = 2 area / longest side
    remedy = "drop them: they are drawn, and have no normal"
    return judge("degenerate", not flat.any(), f"{int(flat.sum())} triangles without area", "0", remedy)


def _edges(
    faces: Int[np.ndarray, "faces 3"], count: int
) -> tuple[Int[np.ndarray, " edges"], Int[np.ndarray, " edges"]]:
    """Of each edge: how many faces have it, and how many of them run along it from the lower index up."""
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    keys = np.minimum(start, end) * count + np.maximum(start, end)
    _, inverse, faces_of = np.unique(keys, return_inverse=True, return_counts=True)
    return faces_of, np.bincount(inverse, start < end, minlength=len(faces_of)).astype(np.int64)


def components(faces: Int[np.ndarray, "faces 3"], count: int) -> Int[np.ndarray, " faces"]:
    """The connected piece that each face belongs to, from 0."""
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    graph = coo_array((np.ones(len(start), dtype=bool), (start, end)), shape=(count, count))
    labels = csgraph.connected_components(graph, directed=False)[1][faces[:, 0]]
    return np.unique(labels, return_inverse=True)[1]


def _inside_out(places: Float[np.ndarray, "places 3"], faces: Int[np.ndarray, "faces 3"]) -> int:
    """Connected pieces of negative volume that are no hollow within another."""
    if not len(faces):
        return 0
    piece = components(faces, len(places))
    corners, total = places[faces], int(piece.max()) + 1
    number = np.bincount(piece, minlength=total)[:, None]
    middle = np.stack([np.bincount(piece, axis, minlength=total) for axis in corners.mean(axis=1).T], axis=-1) / number
    volume = np.bincount(piece, np.linalg.det(corners - middle[piece, None]), minlength=total)
    low, high = np.full((total, 3), np.inf), np.full((total, 3), -np.inf)
    np.minimum.at(low, piece, corners.min(axis=1))
    np.maximum.at(high, piece, corners.max(axis=1))
    return sum(not _within(low[i], high[i], low[volume > 0], high[volume > 0]) for i in np.flatnonzero(volume < 0))


def _within(
    low: Float[np.ndarray, "3"],
    high: Float[np.ndarray, "3"],
    lows: Float[np.ndarray, "pieces 3"],
    highs: Float[np.ndarray, "pieces 3"],
) -> bool:
    return bool(np.any((lows <= low).all(axis=1) & (high <= highs).all(axis=1)))
