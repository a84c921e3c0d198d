"""What of a mesh can be seen from outside, by rays that leave it."""

import time

import numpy as np
import trimesh
from jaxtyping import Float, Int
from trimesh.ray.ray_pyembree import RayMeshIntersector

from gen3d_export.edges import Edges, pieces

FIRST, LAST = 64, 2048
"""Rays from each piece at first, when most are seen, and at last: in between their number doubles."""

MOST = 1 << 20
"""Rays altogether: bounds the time."""

CHUNK = 1 << 12
"""Rays between two looks at the clock."""

PATIENCE = 20.0
"""Seconds after which nothing counts as hidden: in a thicket of large triangles a ray may take a hundredth of one."""

OFFSET = 1e-5
"""Where rays start off the surface, as a share of the longest side."""

BRIGHTER = 1.5
"""How many times the light of its front an open piece must get on its back to be turned over."""

LARGE = 0.01
"""Share of the whole area that an open piece must have to be looked at."""


def drop_hidden(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh without the pieces that nobody sees: inner shells, and what lies inside of others.

    Only whole pieces go, so nothing that is closed is opened.
    """
    piece = pieces(mesh.faces, len(mesh.vertices))
    count = int(piece.max(initial=-1)) + 1
    hidden = np.ones(count, dtype=bool)
    scene, generator, rays = RayMeshIntersector(mesh), np.random.default_rng(0), FIRST
    deadline = time.monotonic() + PATIENCE
    while count > 1 and rays <= LAST and 0 < rays * hidden.sum() <= MOST:
        seen = light(mesh, piece, np.flatnonzero(hidden), rays, scene, generator, deadline)
        if seen is None:
            return mesh
        hidden &= seen.sum(axis=1) == 0
        rays *= 2
    if count < 2 or not hidden.any() or hidden.all():  # noqa: PLR2004 (a piece alone is not hidden)
        return mesh
    return without(mesh, hidden[piece])


def turned_to_light(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with open pieces turned over whose back sees much more of the sky: a head whose neck is open."""
    edges, piece = Edges.of(mesh.faces), pieces(mesh.faces, len(mesh.vertices))
    area = np.bincount(piece, mesh.area_faces)
    large = area >= LARGE * area.sum()
    is_open = np.unique(piece[np.flatnonzero(edges.count[edges.edge] == 1) // 3])
    is_open = is_open[large[is_open]]
    if not len(is_open):
        return mesh
    scene, generator = RayMeshIntersector(mesh), np.random.default_rng(0)
    seen = light(mesh, piece, is_open, 8 * FIRST, scene, generator, time.monotonic() + PATIENCE)
    if seen is None:
        return mesh
    front, back = seen[is_open].T
    chance = 4 * np.sqrt(front + back)
    over = np.isin(piece, is_open[back > BRIGHTER * front + chance])
    return trimesh.Trimesh(mesh.vertices, np.where(over[:, None], mesh.faces[:, ::-1], mesh.faces), process=False)


def without(mesh: trimesh.Trimesh, dropped: np.ndarray) -> trimesh.Trimesh:
    """The mesh without some faces, and the vertices that only they used."""
    result = trimesh.Trimesh(mesh.vertices, mesh.faces[~dropped], process=False)
    result.remove_unreferenced_vertices()
    return result


def light(
    mesh: trimesh.Trimesh,
    piece: Int[np.ndarray, " faces"],
    wanted: Int[np.ndarray, " wanted"],
    rays: int,
    scene: RayMeshIntersector,
    generator: np.random.Generator,
    deadline: float,
) -> Int[np.ndarray, "pieces 2"] | None:
    """How many of `rays` rays from each wanted piece, in all directions, hit nothing: off its front, off its back.

    None where that was not known by the deadline.
    """
    faces = _spread(np.abs(mesh.area_faces), piece, wanted, rays, generator)
    weights = generator.dirichlet(np.ones(3), len(faces))
    points = (mesh.triangles[faces] * weights[..., None]).sum(axis=1)
    directions = generator.normal(size=points.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points += OFFSET * mesh.extents.max() * directions
    away = np.empty(len(points), dtype=bool)
    for at in range(0, len(points), CHUNK):
        if time.monotonic() > deadline:
            return None
        part = slice(at, at + CHUNK)
        away[part] = ~scene.intersects_any(points[part], directions[part])
    back = (directions * mesh.face_normals[faces]).sum(axis=1) < 0
    size = piece.max() + 1
    return np.stack([np.bincount(piece[faces[away & side]], minlength=size) for side in (~back, back)], axis=-1)


def _spread(
    area: Float[np.ndarray, " faces"],
    piece: Int[np.ndarray, " faces"],
    wanted: Int[np.ndarray, " wanted"],
    rays: int,
    generator: np.random.Generator,
) -> Int[np.ndarray, " _"]:
    """`rays` faces of each wanted piece, drawn by their area."""
    order = np.argsort(piece, kind="stable")
    reach = np.cumsum(area[order] + 1e-12 * area.mean())
    first, last = (np.searchsorted(piece[order], wanted, side) for side in ("left", "right"))
    low = np.where(first > 0, reach[first - 1], 0)
    drawn = low + (reach[last - 1] - low) * generator.random((rays, len(wanted)))
    return order[np.searchsorted(reach, drawn).clip(first, last - 1).ravel()]
