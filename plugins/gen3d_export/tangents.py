"""Tangents as MikkTSpace makes them, and directions in their frames.

Normal maps only look right where they are drawn in the frame that they were baked in, and MikkTSpace (Mikkelsen 2008,
"Simulation of Wrinkled Surfaces Revisited") is the one that glTF (2.0, section 3.7.2.1) and all engines agree on.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array, csgraph

from gen3d_export.target import unit
from gen3d_export.unwrap import Unwrapped

GRAZING = 0.05
"""Least height of a direction over the surface in a normal map: what looks away from it cannot be drawn."""


def with_tangents(mesh: Unwrapped) -> tuple[Unwrapped, Float[np.ndarray, "split 4"]]:
    """The mesh, its vertices split where tangents differ, and the tangent of each, unit, with the bitangent's sign.

    Corners share a tangent where their vertices have the same position, normal and texture coordinates, and their
    triangles are connected by edges and of one orientation in the texture. It is the mean of the triangles' directions
    of growing u, projected onto the plane of the normal, by the angle at the corner.
    """
    welded = _weld(mesh)[mesh.faces]
    directions, mirrored, flat = _directions(mesh)
    groups = _groups(welded, mirrored, flat)
    tangents = _means(mesh, directions, groups, flat)
    split, inverse = np.unique(np.stack([mesh.faces.ravel(), groups.ravel()], axis=-1), axis=0, return_inverse=True)
    source, faces = split[:, 0], inverse.reshape(-1, 3)
    sign = np.ones(groups.max() + 1)
    sign[groups[mirrored & ~flat]] = -1
    result = Unwrapped(mesh.vertices[source], mesh.normals[source], mesh.uv[source], faces)
    return result, np.concatenate([tangents[split[:, 1]], sign[split[:, 1], None]], axis=1)


def _weld(mesh: Unwrapped) -> Int[np.ndarray, " vertices"]:
    """The same number for vertices that are alike in all respects."""
    rows = np.concatenate([mesh.vertices, mesh.normals, mesh.uv], axis=1).astype(np.float32)
    _, inverse = np.unique(rows, axis=0, return_inverse=True)
    return inverse.ravel()


def _directions(
    mesh: Unwrapped,
) -> tuple[Float[np.ndarray, "faces 3"], Bool[np.ndarray, " faces"], Bool[np.ndarray, " faces"]]:
    """Of each triangle the direction in which u grows, whether it is mirrored, and whether it has no direction."""
    p, t = mesh.vertices[mesh.faces], mesh.uv[mesh.faces]
    (d1, d2), (t1, t2) = (p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), (t[:, 1] - t[:, 0], t[:, 2] - t[:, 0])
    area = t1[:, 0] * t2[:, 1] - t1[:, 1] * t2[:, 0]
    direction = t2[:, 1:] * d1 - t1[:, 1:] * d2
    mirrored = area <= 0
    flat = (area == 0) | (np.abs(direction).max(axis=1) == 0) | (np.cross(d1, d2) == 0).all(axis=1)
    return unit(np.where(mirrored[:, None], -direction, direction)), mirrored, flat


def _groups(
    welded: Int[np.ndarray, "faces 3"], mirrored: Bool[np.ndarray, " faces"], flat: Bool[np.ndarray, " faces"]
) -> Int[np.ndarray, "faces 3"]:
    """A number for each corner: the same for those that share a tangent."""
    start, end = welded.ravel(), np.roll(welded, -1, axis=1).ravel()
    count, corners = int(welded.max()) + 1, np.arange(welded.size)
    ends = np.roll(corners.reshape(-1, 3), -1, axis=1).ravel()
    kind = np.where(flat, -1 - corners[::3], mirrored).repeat(3)  # a flat triangle is like no other
    key, opposite = start * count + end, end * count + start
    order = np.argsort(key, kind="stable")
    match = order[np.searchsorted(key[order], opposite).clip(0, len(order) - 1)]
    joined = (key[match] == opposite) & (kind[match] == kind)
    one, other = corners[joined], match[joined]
    rows, columns = np.concatenate([one, ends[one]]), np.concatenate([ends[other], other])
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(welded.size, welded.size))
    labels = csgraph.connected_components(graph, directed=False)[1]
    return _adopt(labels, start, flat.repeat(3)).reshape(-1, 3)


def _adopt(
    labels: Int[np.ndarray, " corners"], vertices: Int[np.ndarray, " corners"], flat: Bool[np.ndarray, " corners"]
) -> Int[np.ndarray, " corners"]:
    """Corners of flat triangles take a group of their vertex, where there is one: they have no tangent to add."""
    of_vertex = np.full(vertices.max() + 1, -1)
    of_vertex[vertices[~flat]] = labels[~flat]
    adopted = of_vertex[vertices]
    return np.where(flat & (adopted >= 0), adopted, labels)


def _means(
    mesh: Unwrapped,
    directions: Float[np.ndarray, "faces 3"],
    groups: Int[np.ndarray, "faces 3"],
    flat: Bool[np.ndarray, " faces"],
) -> Float[np.ndarray, "groups 3"]:
    points, normals = mesh.vertices[mesh.faces], mesh.normals[mesh.faces]

    def on_plane(vectors: Float[np.ndarray, "faces 3 3"]) -> Float[np.ndarray, "faces 3 3"]:
        return unit(vectors - (vectors * normals).sum(axis=-1, keepdims=True) * normals)

    before, after = (on_plane(np.roll(points, shift, axis=1) - points) for shift in (1, -1))
    angle = np.arccos((before * after).sum(axis=-1).clip(-1, 1)) * ~flat[:, None]
    parts = on_plane(np.broadcast_to(directions[:, None], points.shape)) * angle[..., None]
    sums = np.stack([np.bincount(groups.ravel(), part) for part in parts.reshape(-1, 3).T], axis=-1)
    normal_of = np.zeros_like(sums)
    normal_of[groups.ravel()] = normals.reshape(-1, 3)
    undecided = np.linalg.norm(sums, axis=1) < 1e-9  # noqa: PLR2004 (0, but for rounding)
    sums[undecided] = np.cross(normal_of[undecided], np.eye(3)[np.abs(normal_of[undecided]).argmin(axis=1)])
    return unit(sums)


def to_tangent_space(
    directions: Float[np.ndarray, "points 3"],
    normals: Float[np.ndarray, "points 3"],
    tangents: Float[np.ndarray, "points 4"],
) -> Float[np.ndarray, "points 3"]:
    """What a normal map holds there, unit, so that shaders get the directions back.

    Args:
        directions: normals of the detailed surface.
        normals: interpolated between vertices, not normalised: shaders do not either.
        tangents: likewise.
    """
    tangent, bitangent = tangents[:, :3], _bitangents(normals, tangents)
    faces = (np.cross(bitangent, normals), np.cross(normals, tangent), np.cross(tangent, bitangent))
    volume = (tangent * faces[0]).sum(axis=1)
    inverse = np.stack([(directions * face).sum(axis=1) for face in faces], axis=-1)
    local = unit(inverse * np.sign(volume)[:, None])
    local[:, 2] = local[:, 2].clip(GRAZING)
    return unit(local)


def from_tangent_space(
    local: Float[np.ndarray, "points 3"],
    normals: Float[np.ndarray, "points 3"],
    tangents: Float[np.ndarray, "points 4"],
) -> Float[np.ndarray, "points 3"]:
    """The shader's formula: n = normalise(x T + y B + z N) with B = w (N x T)."""
    x, y, z = np.split(local, 3, axis=1)
    return unit(x * tangents[:, :3] + y * _bitangents(normals, tangents) + z * normals)


def _bitangents(
    normals: Float[np.ndarray, "points 3"], tangents: Float[np.ndarray, "points 4"]
) -> Float[np.ndarray, "points 3"]:
    return np.cross(normals, tangents[:, :3]) * np.sign(tangents[:, 3:])
