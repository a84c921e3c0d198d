"""Charts by projection on the sides of a box: no beauty, but quick, without overlaps, and for every mesh."""

import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int
from trimesh.ray.ray_pyembree import RayMeshIntersector

from gen3d_export.edges import Edges, connected, row_keys

LAYERS = 8
"""Of one chart that lie over each other, before what is left gets a chart for each triangle."""

STEPS = 24
"""Of halving the interval in which the scale is sought."""

Layout = tuple[Int[np.ndarray, " _"], Int[np.ndarray, "_ 3"], Float[np.ndarray, "_ 2"]]
"""Which vertex each new vertex is a copy of, faces over new vertices, texture coordinates."""


def box_atlas(mesh: trimesh.Trimesh, size: int, padding: int) -> Layout:
    """Charts of neighbouring faces that face the same side of a box, in rows, `padding` texels apart.

    Raises RuntimeError where there are too many for that padding.
    """
    vertices, faces, normals = np.asarray(mesh.vertices), np.asarray(mesh.faces), mesh.face_normals
    direction = np.abs(normals).argmax(axis=1)
    sides = 2 * direction + (normals[np.arange(len(faces)), direction] < 0)
    # A side seen from outside: of a positive one the next two axes, of a negative one the same the other way round.
    axes = np.array([[1, 2, 0], [2, 1, 0], [2, 0, 1], [0, 2, 1], [0, 1, 2], [1, 0, 2]])[sides]
    flat = np.take_along_axis(vertices[faces], axes[:, None, :].repeat(3, axis=1), axis=2)
    flat[..., 2] *= np.where(sides % 2, -1, 1)[:, None]  # higher is farther out
    chart = _layered(flat, faces, sides)
    flat = _upright(flat, chart)
    low, extent = _boxes(flat[..., :2], chart)
    place, scale = _packed(extent, size, padding)
    uv = (flat[..., :2] - low[chart][:, None]) * scale + place[chart][:, None]
    _, first, index = np.unique(chart[:, None] * len(vertices) + faces, return_index=True, return_inverse=True)
    return faces.ravel()[first], index.reshape(-1, 3), uv.reshape(-1, 2)[first] / size


def _layered(
    flat: Float[np.ndarray, "faces 3 3"], faces: Int[np.ndarray, "faces 3"], sides: Int[np.ndarray, " faces"]
) -> Int[np.ndarray, " faces"]:
    """The chart of each face: neighbours on the same side, none over another.

    What lies under a chart's other faces, as in a spiral staircase, is peeled off into charts of its own.
    """
    edges = Edges.of(faces)
    twins = edges.twins()
    links, group = twins[edges.opposite(twins)] // 3, sides
    for _ in range(LAYERS):
        chart = connected(links[group[links[:, 0]] == group[links[:, 1]]], len(faces))
        below = _below(flat, chart)
        if not below.any():
            return chart
        group = np.unique(row_keys(np.stack([chart, below], axis=-1)), return_inverse=True)[1]
    return np.where(below, chart.max() + 1 + np.cumsum(below), chart)


def _below(flat: Float[np.ndarray, "faces 3 3"], chart: Int[np.ndarray, " faces"]) -> Bool[np.ndarray, " faces"]:
    """Faces that others of their chart cover, in their middle or towards a corner; seen by rays from above."""
    low, extent = _boxes(flat[..., :2], chart)
    width = max(float(np.sqrt(extent.prod(axis=1).sum())), float(extent.max()))
    gap = 1e-3 * width
    place, _ = _rows(extent, width, gap)
    spread = flat.copy()
    spread[..., :2] += (place - low)[chart][:, None]
    scene = RayMeshIntersector(
        trimesh.Trimesh(spread.reshape(-1, 3), np.arange(3 * len(flat)).reshape(-1, 3), process=False)
    )
    covered = np.zeros(len(flat), dtype=bool)
    for weights in np.array([[1, 1, 1], [5, 1, 1], [1, 5, 1], [1, 1, 5]]) / [[3], [7], [7], [7]]:
        points = np.einsum("fcx,c->fx", spread, weights)
        points[:, 2] = spread[..., 2].max() + width
        hit = scene.intersects_first(points, np.broadcast_to([0.0, 0.0, -1.0], points.shape))
        covered |= (hit != np.arange(len(flat))) & (hit >= 0)
    return covered


def _boxes(flat: Float[np.ndarray, "faces 3 2"], chart: Int[np.ndarray, " faces"]) -> tuple[np.ndarray, np.ndarray]:
    """Lower corner and extent of each chart."""
    low = np.full((chart.max() + 1, 2), np.inf)
    high = -low
    np.minimum.at(low, chart, flat.min(axis=1))
    np.maximum.at(high, chart, flat.max(axis=1))
    low, high = (np.where(np.isfinite(part), part, 0) for part in (low, high))
    return low, high - low


def _upright(flat: Float[np.ndarray, "faces 3 3"], chart: Int[np.ndarray, " faces"]) -> Float[np.ndarray, "faces 3 3"]:
    """Charts higher than wide turned by a quarter, so that rows are low."""
    tall = np.diff(_boxes(flat[..., :2], chart)[1], axis=1)[:, 0] > 0
    turned = np.stack([flat[..., 1], -flat[..., 0], flat[..., 2]], axis=-1)
    return np.where(tall[chart][:, None, None], turned, flat)


def _packed(extent: Float[np.ndarray, "charts 2"], size: int, padding: int) -> tuple[np.ndarray, float]:
    """Where in the picture each box goes, in texels, and texels per unit: the largest scale at which all fit."""
    gap, room = padding + 1.0, size - padding  # padding whole texels between the outermost covered ones
    low, high = 0.0, room / max(float(extent.max()), 1e-30)
    if not _fits(low * extent, room, gap):
        msg = f"{len(extent)} charts do not fit with a padding of {padding}"
        raise RuntimeError(msg)
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _fits(middle * extent, room, gap) else (low, middle)
    return _rows(low * extent, room, gap)[0] + padding / 2, low


def _fits(extent: Float[np.ndarray, "charts 2"], room: float, gap: float) -> bool:
    return _rows(extent, room, gap)[1] <= room


def _rows(extent: Float[np.ndarray, "charts 2"], room: float, gap: float) -> tuple[np.ndarray, float]:
    """Boxes in rows from high to low ones, and how high all rows are together."""
    order = np.argsort(-extent[:, 1], kind="stable")
    reach = np.cumsum(extent[order, 0] + gap)
    place, first, height = np.empty_like(extent), 0, 0.0
    while first < len(order):
        before = reach[first - 1] if first else 0.0
        last = max(int(np.searchsorted(reach, before + room + gap, side="right")), first + 1)
        row = order[first:last]
        place[row, 0], place[row, 1] = reach[first:last] - extent[row, 0] - gap - before, height
        height += extent[row[0], 1] + gap
        first = last
    return place, float(height - gap)
