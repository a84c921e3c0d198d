"""Vertices for each fan of faces of its own, so that pieces which only touch come apart."""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from gen3d_export.edges import Edges, Pairs, connected, row_keys

APART = 1e-4
"""How far vertices that were parted move into their own piece, as a share of the longest side.

They would be one again for whoever welds the file; of a metre, this is a tenth of a millimetre.
"""

ROUNDS = 16
"""Of pairing the faces around an edge, and of splitting edges."""

Mesh = tuple[Float[np.ndarray, "_ 3"], Int[np.ndarray, "_ 3"]]


def parted(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> Mesh:
    """The same faces with at most two at an edge and one fan at a vertex, and a few more where an edge was split.

    Args:
        vertices: welded.
        faces: wound alike; a face may have its back face on the same corners, and stays apart from that.
    """
    for _ in range(ROUNDS):
        pairs = paired(vertices, faces)
        split = _fans(faces, pairs)
        doubled = _doubled(split, pairs)
        if not len(doubled):
            break
        vertices, faces = _halved(vertices, faces, doubled)
    source = np.empty(split.max() + 1, dtype=np.int64)
    source[split.ravel()] = faces.ravel()
    places = vertices[source]
    copies = np.bincount(source, minlength=len(vertices))[source] > 1
    if copies.any():
        places = np.where(copies[:, None], _moved_in(places, split), places)
    return places, split


def paired(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> Pairs:
    """Directed edges of neighbouring faces, two by two, in opposite directions.

    Where more than two run along an edge, those are neighbours that have a solid between them.
    """
    edges = Edges.of(faces)
    corners = row_keys(np.sort(faces, axis=1))
    twins = edges.twins()
    twins = twins[edges.opposite(twins) & (corners[twins[:, 0] // 3] != corners[twins[:, 1] // 3])]
    many = np.flatnonzero(edges.count[edges.edge] > 2)  # noqa: PLR2004 (more than two)
    leaves = edges.start[many] < edges.end[many]
    order = np.lexsort([~leaves, _angles(vertices, faces, edges, many), edges.edge[many]])
    return np.concatenate([twins, _matched(many[order], leaves[order], edges, corners)])


def _matched(
    halves: Int[np.ndarray, " halves"],
    leaves: Bool[np.ndarray, " halves"],
    edges: Edges,
    corners: UInt64[np.ndarray, " faces"],
) -> Pairs:
    """Each directed edge that enters a solid with the next one around its edge, if that leaves it.

    Args:
        halves: edge by edge, counter-clockwise around each.
        leaves: where counter-clockwise leads out of the solid.
        edges: all of them.
        corners: equal for faces back to back.
    """
    found = [np.empty((0, 2), dtype=np.int64)]
    for _ in range(ROUNDS):
        edge = edges.edge[halves]
        first = np.searchsorted(edge, edge)
        following = np.arange(1, len(halves) + 1)
        last = np.append(edge[1:] != edge[:-1], True)[: len(halves)]
        following[last] = first[last]
        fits = ~leaves & leaves[following] & (corners[halves // 3] != corners[halves[following] // 3])
        if not fits.any():
            break
        found.append(np.stack([halves[fits], halves[following[fits]]], axis=-1))
        rest = ~fits
        rest[following[fits]] = False
        halves, leaves = halves[rest], leaves[rest]
    return np.concatenate(found)


def _angles(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    edges: Edges,
    halves: Int[np.ndarray, " halves"],
) -> Float[np.ndarray, " halves"]:
    """Where around its edge each face lies, seen against the direction from the edge's lower to its higher vertex."""
    low, high = np.sort([edges.start[halves], edges.end[halves]], axis=0)
    tip = faces[halves // 3, (halves + 2) % 3]
    axis = _unit(vertices[high] - vertices[low])
    least = np.eye(3)[np.abs(axis).argmin(axis=1)]
    right = _unit(np.cross(axis, least))
    ahead = vertices[tip] - vertices[low]
    return np.arctan2((ahead * np.cross(axis, right)).sum(axis=1), (ahead * right).sum(axis=1))


def _fans(faces: Int[np.ndarray, "faces 3"], pairs: Pairs) -> Int[np.ndarray, "faces 3"]:
    """Faces over new vertices: corners are one vertex if a way around it over pairs leads from one to the other."""
    one, other = pairs.T
    links = np.concatenate([np.stack([one, _next(other)], axis=-1), np.stack([_next(one), other], axis=-1)])
    return connected(links, faces.size).reshape(-1, 3)


def _next(halves: Int[np.ndarray, " halves"]) -> Int[np.ndarray, " halves"]:
    return halves + np.where(halves % 3 == 2, -2, 1)  # noqa: PLR2004 (the last of three)


def _doubled(faces: Int[np.ndarray, "faces 3"], pairs: Pairs) -> Pairs:
    """Pairs that run along the same two vertices as another one, all but the first; one for each face at most."""
    edge = Edges.of(faces).edge[pairs[:, 0]]
    order = np.argsort(edge, kind="stable")
    again = order[1:][edge[order[1:]] == edge[order[:-1]]]
    found = pairs[again]
    _, first = np.unique(found // 3, return_index=True)
    once = np.zeros(found.size, dtype=bool)
    once[first] = True
    return found[once.reshape(-1, 2).all(axis=1)]


def _halved(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], pairs: Pairs) -> Mesh:
    """Both faces of each pair cut in two at the middle of their edge."""
    middle = len(vertices) + np.arange(len(pairs))
    added, faces = [], faces.copy()
    for halves in pairs.T:
        face, corner = np.divmod(halves, 3)
        start, end, tip = (faces[face, (corner + turn) % 3] for turn in range(3))
        faces[face] = np.stack([start, middle, tip], axis=-1)
        added.append(np.stack([middle, end, tip], axis=-1))
        where = vertices[[start, end]].mean(axis=0)
    return np.concatenate([vertices, where]), np.concatenate([faces, *added])


def _moved_in(
    places: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """Each vertex a little towards its neighbours and against its normal."""
    corners = places[faces]
    normals = _unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    ahead = (np.roll(corners, 1, axis=1) + np.roll(corners, 2, axis=1)) / 2 - corners
    ways = [_sum_at(faces, part, len(places)) for part in (ahead, -np.repeat(normals[:, None], 3, axis=1))]
    reach = np.linalg.norm(ways[0], axis=1, keepdims=True) / np.bincount(faces.ravel(), minlength=len(places))[:, None]
    step = np.minimum(APART * np.ptp(places, axis=0).max(), reach / 4)
    return places + step * _unit(_unit(ways[0]) + _unit(ways[1]))


def _sum_at(
    faces: Int[np.ndarray, "faces 3"], values: Float[np.ndarray, "faces 3 3"], count: int
) -> Float[np.ndarray, "count 3"]:
    """Sums of the corners' values at each vertex."""
    return np.stack([np.bincount(faces.ravel(), part.ravel(), count) for part in np.moveaxis(values, -1, 0)], axis=-1)


def _unit(vectors: Float[np.ndarray, "vectors 3"]) -> Float[np.ndarray, "vectors 3"]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-30)
