"""Which faces of a triangle mesh meet at which edges."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64
from scipy.sparse import coo_array, csgraph

Pairs = Int[np.ndarray, "_ 2"]


@dataclass(frozen=True, eq=False)
class Edges:
    """The directed edges of all faces: number 3 f + i runs from corner i of face f to the next one.

    Args:
        start: vertex that each runs from.
        end: vertex that each runs to.
        edge: which undirected edge each runs along.
        count: how many run along each undirected edge.
    """

    start: Int[np.ndarray, " halves"]
    end: Int[np.ndarray, " halves"]
    edge: Int[np.ndarray, " halves"]
    count: Int[np.ndarray, " edges"]

    @classmethod
    def of(cls, faces: Int[np.ndarray, "faces 3"]) -> "Edges":
        """Of a mesh's faces."""
        start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
        key = np.minimum(start, end) * (faces.max(initial=0) + 1) + np.maximum(start, end)
        _, edge, count = np.unique(key, return_inverse=True, return_counts=True)
        return cls(start, end, edge, count)

    def twins(self) -> Pairs:
        """Directed edges that alone run along one undirected edge, two by two, in either direction."""
        two = np.flatnonzero(self.count[self.edge] == 2)  # noqa: PLR2004 (two)
        return two[np.argsort(self.edge[two], kind="stable")].reshape(-1, 2)

    def opposite(self, pairs: Pairs) -> Bool[np.ndarray, " _"]:
        """Where the two run in opposite directions, as those of faces that are wound alike do."""
        return self.start[pairs[:, 0]] == self.end[pairs[:, 1]]


def row_keys(rows: Int[np.ndarray, "rows columns"]) -> UInt64[np.ndarray, " rows"]:
    """A number for each row, equal for equal rows, and for others with a chance of 2^-64: sorting these is fast."""
    mixed = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        mixed = (mixed ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
    return mixed


def connected(pairs: Pairs, count: int) -> Int[np.ndarray, " count"]:
    """Number of the component that each of `count` things is in."""
    links = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    labels: Int[np.ndarray, " count"] = csgraph.connected_components(links, directed=False)[1].astype(np.int64)
    return labels


def pieces(faces: Int[np.ndarray, "faces 3"], vertices: int) -> Int[np.ndarray, " faces"]:
    """Number of the loose piece that each face is in: pieces share no vertex."""
    found = connected(np.concatenate([faces[:, :2], faces[:, 1:]]), vertices)[faces[:, 0]]
    return np.unique(found, return_inverse=True)[1].ravel()


def outward_volume(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], label: Int[np.ndarray, " faces"]
) -> Float[np.ndarray, " labels"]:
    """Volume that each set of faces encloses, negative where it is inside out; about its own middle, if it is open."""
    corners = vertices[faces]
    size = np.bincount(label).clip(1)
    middle = (
        np.stack([np.bincount(label, corners[..., axis].mean(axis=1)) for axis in range(3)], axis=-1) / size[:, None]
    )
    return np.bincount(label, np.linalg.det(corners - middle[label][:, None]) / 6)
