"""Collision shapes: convex hulls within what engines take."""

import logging
import re
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float
from scipy.spatial import ConvexHull, QhullError

from gen3d.errors import BadInput
from gen3d_export.decimate import decimate
from gen3d_export.worker import WorkerFailed, run_worker

MOST = 64
"""Hulls of one object."""

CORNERS = 64
"""Vertices of a hull, at most: its triangles are then fewer than the 255 that PhysX takes."""

DETAIL = 2000
"""Triangles that are looked at: more give no better hulls, and take longer."""

TIMEOUT = 60.0
"""Seconds for CoACD."""

THIN = 1e-3
"""Least thickness of a box, as a share of its longest side: engines take no flat ones."""

log = logging.getLogger(__name__)


def hull_count(kind: str) -> int | None:
    """How many hulls `kind` allows: 0 for none, N for convex:N, and None for a box. Raises BadInput for other words."""
    if kind in {"none", "box"}:
        return 0 if kind == "none" else None
    found = re.fullmatch(r"convex:(\d{1,9})", kind)
    if not found or not 1 <= int(found[1]) <= MOST:
        raise BadInput(f"collision is {kind!r}", remedy=f"it is none, box, or convex:N with N hulls from 1 to {MOST}")
    return int(found[1])


def convex_hulls(mesh: trimesh.Trimesh, kind: str, timeout: float = TIMEOUT) -> list[trimesh.Trimesh]:
    """Closed convex pieces that together stand for the mesh, each with at most 64 vertices and 124 triangles.

    Args:
        mesh: any triangles, open or closed.
        kind: none, box (one, along the axes), or convex:N (at most N pieces, by CoACD: Wei et al. 2022).
        timeout: seconds until CoACD is given up, for one hull around everything.

    Raises:
        BadInput: the kind is another word.
    """
    count = hull_count(kind)
    if count == 0:
        return []
    if count is None:
        return [_box(mesh.vertices)]
    if count == 1:
        return [_hull(mesh.vertices)]
    try:
        return [_hull(vertices) for vertices in _pieces(mesh, count, timeout)]
    except WorkerFailed as error:
        log.warning("CoACD failed (%s): one hull stands for the whole object", error)
        return [_hull(mesh.vertices)]


def _pieces(mesh: trimesh.Trimesh, count: int, timeout: float) -> list[np.ndarray]:
    """Vertices of each piece. Raises WorkerFailed."""
    coarse = decimate(mesh, DETAIL)
    given = {"vertices": coarse.vertices, "faces": coarse.faces, "count": np.array(count)}
    made = run_worker(Path(__file__).with_name("hulls_worker.py"), given, timeout)
    pieces = [made[f"vertices_{index}"] for index in range(len(made))]
    if not pieces or not all(np.isfinite(piece).all() for piece in pieces):
        raise WorkerFailed("no pieces")
    return pieces


def _hull(points: Float[np.ndarray, "points 3"]) -> trimesh.Trimesh:
    """The convex hull of what lies farthest out in 64 directions; the box where the points lie in a plane."""
    points = np.asarray(points, dtype=np.float64)
    try:
        corners = points[ConvexHull(points).vertices]
        if len(corners) > CORNERS:
            corners = corners[np.unique((corners @ _directions(CORNERS).T).argmax(axis=0))]
        return trimesh.convex.convex_hull(corners)
    except QhullError:
        return _box(points)


def _box(points: Float[np.ndarray, "points 3"]) -> trimesh.Trimesh:
    low, high = points.min(axis=0), points.max(axis=0)
    sides = np.maximum(high - low, THIN * (high - low).max())
    return trimesh.creation.box(sides, transform=trimesh.transformations.translation_matrix((low + high) / 2))


def _directions(count: int) -> Float[np.ndarray, "count 3"]:
    """Points on the unit sphere, evenly spread along a spiral (Vogel 1979)."""
    height = 1 - (2 * np.arange(count) + 1) / count
    angle = np.arange(count) * np.pi * (3 - 5**0.5)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=-1)
