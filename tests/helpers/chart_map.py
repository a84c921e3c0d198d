"""Which chart covers each texel, slowly and obviously: one triangle after the other."""

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from gen3d_export.edges import pieces


def chart_map(
    uv: Float[np.ndarray, "vertices 2"], faces: Int[np.ndarray, "faces 3"], size: int
) -> tuple[Int[np.ndarray, "size size"], Int[np.ndarray, "size size"]]:
    """The chart whose triangles hold each texel's centre, or -1, and how many of them do."""
    chart, count = np.full((size, size), -1), np.zeros((size, size), dtype=int)
    label = pieces(faces, len(uv))
    for corners, number in zip(uv[faces] * size, label, strict=True):
        low = np.ceil(corners.min(axis=0) - 0.5).astype(int).clip(0, size)
        high = np.ceil(corners.max(axis=0) - 0.5).astype(int).clip(0, size)
        x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
        (ax, ay), (bx, by), (cx, cy) = corners
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if not area or not x.size:
            continue
        second = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
        third = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
        inside = (second > 1e-9) & (third > 1e-9) & (second + third < 1 - 1e-9)
        chart[low[1] : high[1], low[0] : high[0]][inside] = number
        count[low[1] : high[1], low[0] : high[0]] += inside
    return chart, count


def gutter(chart: Int[np.ndarray, "size size"]) -> float:
    """Empty texels between the covered ones of two charts, where they come closest."""
    row, column = ndimage.distance_transform_edt(chart < 0, return_distances=False, return_indices=True)
    nearest = chart[row, column]
    least = np.inf
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        rows = slice(shift[0], None), slice(None, -shift[0] or None)
        columns = (
            (slice(shift[1], None), slice(None, -shift[1] or None))
            if shift[1] >= 0
            else (slice(None, -1), slice(1, None))
        )
        here, there = (rows[0], columns[0]), (rows[1], columns[1])
        meet = nearest[here] != nearest[there]
        if meet.any():
            one, other = (np.stack([row[at][meet], column[at][meet]], axis=-1) for at in (here, there))
            least = min(least, np.linalg.norm(one - other, axis=-1).min() - 1)
    return float(least)
