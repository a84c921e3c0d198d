"""Fewer triangles, on the welded mesh."""

import logging

import fast_simplification
import numpy as np
import trimesh

from gen3d_export.edges import pieces, row_keys
from gen3d_export.repair import manifold
from gen3d_export.visibility import without

LEAST, ENOUGH = 4, 16
"""Triangles that a piece must have, and those with which it keeps its shape."""

SHARE = 0.5
"""Of the area, that must be left."""

TRIES = 4
"""Of coming under the budget after repair, which may add some triangles."""

log = logging.getLogger(__name__)


def decimate(mesh: trimesh.Trimesh, triangles: int) -> trimesh.Trimesh:
    """At most `triangles` triangles, by quadric errors (Garland and Heckbert 1997). What is closed stays closed.

    Args:
        mesh: repaired.
        triangles: budget, of 4 or more.
    """
    target, best = triangles, mesh
    for _ in range(TRIES):
        if len(best.faces) <= triangles:
            break
        best = manifold(_fewer(mesh, target))
        target -= max(len(best.faces) - triangles, 0) + 8
    return best


def _fewer(mesh: trimesh.Trimesh, triangles: int) -> trimesh.Trimesh:
    whole = _largest(mesh, max(1, triangles // LEAST))
    mesh = _collapsed(whole, triangles)
    if mesh.area < SHARE * whole.area:  # quadrics let small pieces vanish one and all
        mesh = _collapsed(_largest(whole, max(1, triangles // ENOUGH)), triangles)
    cell = float(whole.extents.max()) / 256
    while len(mesh.faces) > triangles:  # a sponge: no collapse is left that keeps all its handles
        mesh, cell = _collapse(_cluster(mesh, cell), triangles, 7), 1.5 * cell
    return mesh if len(mesh.faces) else _collapsed(whole.convex_hull, triangles)


def _collapsed(mesh: trimesh.Trimesh, triangles: int) -> trimesh.Trimesh:
    for aggressiveness in (3, 5, 7):  # 3 folds no triangle over, but may stop early
        mesh = _collapse(mesh, triangles, aggressiveness)
    return mesh


def _collapse(mesh: trimesh.Trimesh, triangles: int, aggressiveness: float) -> trimesh.Trimesh:
    if len(mesh.faces) <= triangles:
        return mesh
    vertices, faces = fast_simplification.simplify(
        mesh.vertices, mesh.faces, target_count=triangles, agg=aggressiveness
    )
    return _without_flaps(trimesh.Trimesh(vertices, faces, process=False))


def _largest(mesh: trimesh.Trimesh, most: int) -> trimesh.Trimesh:
    """The mesh with its `most` largest pieces."""
    piece = pieces(mesh.faces, len(mesh.vertices))
    area = np.bincount(piece, mesh.area_faces)
    if len(area) <= most:
        return mesh
    dropped = np.argsort(-area, kind="stable")[most:]
    share = area[dropped].sum() / area.sum()
    log.warning("too few triangles for %d pieces: the smallest go, %.1f%% of the surface", len(area), 100 * share)
    return without(mesh, np.isin(piece, dropped))


def _cluster(mesh: trimesh.Trimesh, cell: float) -> trimesh.Trimesh:
    """The mesh with its vertices snapped to cells, and what collapsed removed."""
    snapped = trimesh.Trimesh(np.round(mesh.vertices / cell) * cell, mesh.faces, process=True)
    snapped.update_faces(snapped.nondegenerate_faces())
    return _without_flaps(snapped)


def _without_flaps(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh without pairs of triangles back to back, which enclose nothing and have no normal.

    Whatever ran as often one way as the other way along each edge still does.
    """
    faces = np.asarray(mesh.faces)
    key = row_keys(np.sort(faces, axis=1))
    rising = (np.diff(faces[:, [0, 1, 2, 0]], axis=1) > 0).sum(axis=1) == 2  # noqa: PLR2004 (or one: the other winding)
    _, corners = np.unique(key, return_inverse=True)
    order = np.lexsort([rising, corners])
    rank = np.empty(len(faces), dtype=np.int64)
    rank[order] = np.arange(len(faces)) - np.searchsorted(corners[order], corners[order])
    falls, rises = np.bincount(corners, ~rising)[corners], np.bincount(corners, rising)[corners]
    mesh.update_faces(np.where(rising, rank - falls < rises - falls, rank < falls - rises))
    mesh.remove_unreferenced_vertices()
    return mesh
