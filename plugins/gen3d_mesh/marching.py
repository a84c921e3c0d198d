"""Marching tetrahedra on a lattice: where signed distances change sign, as triangles, differentiable.

Each cube of the lattice is cut into six tetrahedra around its main diagonal (Kuhn's triangulation), so that
neighbours agree on their common face. Every edge leads from a node to one whose three indices are the same or one
more, which makes (node, direction) its name: no list of tetrahedra is ever stored, only what the surface crosses.
Source: Shen et al. 2021 (Deep Marching Tetrahedra), section 3.2.
"""

from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

DIRECTIONS = tuple(product((0, 1), repeat=3))
"""Where an edge may lead; the first leads nowhere. In this order the edges of a node are sorted by their end."""

TETRAHEDRA = (
    ((0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)),
    ((0, 0, 0), (1, 0, 0), (1, 1, 1), (1, 0, 1)),
    ((0, 0, 0), (0, 1, 0), (1, 1, 1), (1, 1, 0)),
    ((0, 0, 0), (0, 1, 0), (0, 1, 1), (1, 1, 1)),
    ((0, 0, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1)),
    ((0, 0, 0), (0, 0, 1), (1, 1, 1), (0, 1, 1)),
)
"""Corners of the six in a cube, each with positive volume."""

EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""Corners of a tetrahedron that its edges join."""

TRIANGLES = (
    (),
    ((1, 0, 2),),
    ((4, 0, 3),),
    ((1, 4, 2), (1, 3, 4)),
    ((3, 1, 5),),
    ((2, 3, 0), (2, 5, 3)),
    ((1, 4, 0), (1, 5, 4)),
    ((4, 2, 5),),
    ((4, 5, 2),),
    ((4, 1, 0), (4, 5, 1)),
    ((3, 2, 0), (3, 5, 2)),
    ((1, 3, 5),),
    ((4, 1, 2), (4, 3, 1)),
    ((3, 0, 4),),
    ((2, 0, 1),),
    (),
)
"""Edges that each triangle joins, by which corners are positive (corner k: bit k), to which normals point."""


@dataclass(frozen=True, eq=False)
class Crossings:
    """What the surface crosses.

    Args:
        edges: both nodes of each edge that it crosses, flat indices, the lower one first; one vertex of the mesh lies
            on each.
        faces: vertex indices; normals point to positive distances.
    """

    edges: Int[Tensor, "vertices 2"]
    faces: Int[Tensor, "faces 3"]


@torch.no_grad()
def marching_tetrahedra(positive: Bool[Tensor, "x y z"]) -> Crossings:
    """The topology of the zero level of signed distances, of which the signs at the nodes of a lattice are enough."""
    keys = _crossed_edges(positive)
    place = keys.new_empty(len(DIRECTIONS) * positive.numel())
    place[keys] = torch.arange(len(keys), device=keys.device)
    cubes = _crossed_cubes(positive)
    nodes = _flat(TETRAHEDRA, positive)
    corners = (cubes[:, None, None] + nodes).flatten(0, 1)
    bits = torch.arange(4, device=keys.device)
    cases = (positive.flatten()[corners] << bits).sum(1)
    starts = (len(DIRECTIONS) * cubes[:, None, None] + _edge_keys(positive)).flatten(0, 1)
    count = torch.tensor([len(case) for case in TRIANGLES], device=keys.device)[cases]
    faces = [_faces(starts[count == n], cases[count == n], n) for n in (1, 2)]
    start, direction = keys // len(DIRECTIONS), keys % len(DIRECTIONS)
    return Crossings(torch.stack([start, start + _flat(DIRECTIONS, positive)[direction]], 1), place[torch.cat(faces)])


def vertices_on(
    distances: Float[Tensor, "vertices 2"], places: Float[Tensor, "vertices 2 3"]
) -> Float[Tensor, "vertices 3"]:
    """Where a linear function is zero on each edge: (x_p (-s_q) + x_q s_p) / (s_p - s_q).

    Args:
        distances: at both ends of each edge; they differ in sign.
        places: of both ends.
    """
    first, second = distances.unbind(1)
    share = torch.stack([-second, first], dim=1) / (first - second)[:, None]
    return (share[:, :, None] * places).sum(1)


def _flat(steps: tuple[tuple[object, ...], ...], lattice: Tensor) -> Int[Tensor, "..."]:
    """Steps along the three axes as steps between flat indices."""
    x, y, z = torch.tensor(steps, device=lattice.device).unbind(-1)
    return (x * lattice.shape[1] + y) * lattice.shape[2] + z


def _crossed_edges(positive: Bool[Tensor, "x y z"]) -> Int[Tensor, " edges"]:
    """8 node + direction of each edge between different signs, rising."""
    numbers = torch.arange(positive.numel(), device=positive.device).view(positive.shape)
    keys = []
    for direction, (x, y, z) in enumerate(DIRECTIONS):
        rest = [size - step for size, step in zip(positive.shape, (x, y, z), strict=True)]
        here, there = positive[: rest[0], : rest[1], : rest[2]], positive[x:, y:, z:]
        keys.append(len(DIRECTIONS) * numbers[: rest[0], : rest[1], : rest[2]][here != there] + direction)
    return torch.cat(keys).sort().values


def _crossed_cubes(positive: Bool[Tensor, "x y z"]) -> Int[Tensor, " cubes"]:
    """The first node of each cube whose corners have different signs, rising."""
    some = every = positive
    for axis, size in enumerate(positive.shape):
        some = some.narrow(axis, 0, size - 1) | some.narrow(axis, 1, size - 1)
        every = every.narrow(axis, 0, size - 1) & every.narrow(axis, 1, size - 1)
    x, y, z = (some & ~every).nonzero().unbind(1)
    return (x * positive.shape[1] + y) * positive.shape[2] + z


def _edge_keys(lattice: Tensor) -> Int[Tensor, "tetrahedra edges"]:
    """What to add to 8 node for the key of each edge of the six tetrahedra of the node's cube."""
    ends = [[sorted((corners[i], corners[j])) for i, j in EDGES] for corners in TETRAHEDRA]
    starts = tuple(tuple(first for first, _ in edges) for edges in ends)
    steps = [[DIRECTIONS.index((b[0] - a[0], b[1] - a[1], b[2] - a[2])) for a, b in edges] for edges in ends]
    return len(DIRECTIONS) * _flat(starts, lattice) + torch.tensor(steps, device=lattice.device)


def _faces(
    keys: Int[Tensor, "tetrahedra edges"], cases: Int[Tensor, " tetrahedra"], count: int
) -> Int[Tensor, "faces 3"]:
    """Edge keys of the triangles of tetrahedra that hold `count` of them each."""
    table = torch.tensor(
        [case if len(case) == count else ((0, 0, 0),) * count for case in TRIANGLES], device=keys.device
    )
    return keys.gather(1, table[cases].flatten(1)).view(-1, 3)
