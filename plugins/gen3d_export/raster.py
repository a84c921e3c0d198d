"""Which triangle covers each texel, and where in it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

EDGE = 1e-6
"""Barycentric slack, so that no pixel falls between two triangles."""


@dataclass(frozen=True, eq=False)
class Texels:
    """The covered pixels of a square picture, each once, in row-major order.

    Args:
        pixels: flat index, row 0 at the top.
        faces: the triangle that covers the pixel's centre.
        weights: barycentric weights of its three corners.
    """

    pixels: Int[np.ndarray, " texels"]
    faces: Int[np.ndarray, " texels"]
    weights: Float[np.ndarray, "texels 3"]

    def interpolate(
        self, values: Float[np.ndarray, "vertices channels"], faces: Int[np.ndarray, "faces 3"]
    ) -> Float[np.ndarray, "texels channels"]:
        """Values of vertices at the texels."""
        return interpolate(values, faces[self.faces], self.weights)


def interpolate(
    values: Float[np.ndarray, "vertices channels"],
    corners: Int[np.ndarray, "points 3"],
    weights: Float[np.ndarray, "points 3"],
) -> Float[np.ndarray, "points channels"]:
    """Values of vertices at points of triangles, by barycentric weights."""
    return sum(weights[:, i, None] * values[corners[:, i]] for i in range(3))


def rasterise(
    uv: Float[np.ndarray, "vertices 2"],
    faces: Int[np.ndarray, "faces 3"],
    size: int,
    rows: range | None = None,
    device: torch.device | str = "cpu",
) -> Texels:
    """Cover a picture of `size` pixels a side; v points up, a pixel's sample is its centre.

    Each triangle is cut into one span of pixels a row, so the work is that of the covered pixels and not of bounding
    boxes. Of triangles that share a pixel on their edge, or overlap, the last one has it, on every device.

    Args:
        uv: texture coordinates of the vertices.
        faces: their triangles, of either winding.
        size: of the picture.
        rows: those to cover, which bounds the memory; pixels still count from the top of the picture. None for all.
        device: where to do it.
    """
    rows = range(size) if rows is None else rows
    x, y = (torch.from_numpy(uv).to(device, torch.float64) * size).unbind(dim=-1)
    corners = torch.stack([x, size - y], dim=-1)[torch.from_numpy(faces).to(device)]
    face, row = _scanlines(corners[..., 1], rows)
    slopes = _slopes(corners)
    first, last = _spans(slopes[face], row, size)
    span, step = _count(last - first)
    row, column = row[span], first[span] + step
    kept = _owners((row - rows.start) * size + column, size * len(rows))
    face, row, column = face[span[kept]], row[kept], column[kept]
    weights = _weights(slopes[face], row + 0.5, column + 0.5).float()
    return Texels(*(part.cpu().numpy() for part in (row * size + column, face, weights)))


def _scanlines(
    height: Float[Tensor, "faces 3"], rows: range
) -> tuple[Int[Tensor, " scanlines"], Int[Tensor, " scanlines"]]:
    """The rows whose centres each triangle reaches: face and row of each."""
    low = (height.amin(dim=1) - 0.5 - EDGE).ceil().long().clamp(rows.start, rows.stop)
    high = (height.amax(dim=1) - 0.5 + EDGE).floor().long().add(1).clamp(rows.start, rows.stop)
    face, step = _count((high - low).clamp_min(0))
    return face, low[face] + step


def _count(lengths: Int[Tensor, " runs"]) -> tuple[Int[Tensor, " items"], Int[Tensor, " items"]]:
    """For runs of given lengths: of each item the run, and the place in the run."""
    run = torch.repeat_interleave(lengths)
    start = lengths.cumsum(dim=0) - lengths
    return run, torch.arange(len(run), device=run.device) - start[run]


def _slopes(corners: Float[Tensor, "faces 3 2"]) -> Float[Tensor, "faces 6"]:
    """The first corner, then how the second and the third barycentric weight grow with x and y.

    Not a number where a triangle has no area.
    """
    a = corners[:, 0]
    (bx, by), (cx, cy) = (corners[:, 1] - a).unbind(dim=-1), (corners[:, 2] - a).unbind(dim=-1)
    area = bx * cy - by * cx
    area = torch.where(area == 0, torch.nan, area)
    return torch.cat([a, torch.stack([cy, -cx, -by, bx], dim=-1) / area[:, None]], dim=-1)


def _weights(
    slopes: Float[Tensor, "points 6"], row: Float[Tensor, " points"], column: Float[Tensor, " points"]
) -> Float[Tensor, "points 3"]:
    x0, y0, second_x, second_y, third_x, third_y = slopes.unbind(dim=-1)
    second = (column - x0) * second_x + (row - y0) * second_y
    third = (column - x0) * third_x + (row - y0) * third_y
    return torch.stack([1 - second - third, second, third], dim=-1)


def _spans(
    slopes: Float[Tensor, "scanlines 6"], row: Int[Tensor, " scanlines"], size: int
) -> tuple[Int[Tensor, " scanlines"], Int[Tensor, " scanlines"]]:
    """First column of each scanline's pixels, and the one after its last."""
    at_first = _weights(slopes, row + 0.5, slopes[:, 0])
    rate = torch.stack([-slopes[:, 2] - slopes[:, 4], slopes[:, 2], slopes[:, 4]], dim=-1)
    crossing = slopes[:, :1] - 0.5 + (-EDGE - at_first) / rate  # a flat edge gives infinity with the right sign
    low = torch.where(rate > 0, crossing, -torch.inf).amax(dim=1)
    high = torch.where(rate < 0, crossing, torch.inf).amin(dim=1)
    beside = ((rate == 0) & (at_first < -EDGE)) | rate.isnan()
    high = torch.where(beside.any(dim=1), -torch.inf, high)
    first = low.ceil().nan_to_num(size).clamp(0, size).long()
    last = (high.floor() + 1).nan_to_num(0).clamp(0, size).long()
    return first, last.maximum(first)


def _owners(pixels: Int[Tensor, " candidates"], count: int) -> Int[Tensor, " texels"]:
    """Which candidate has each pixel that has one: the last, on every device."""
    owner = torch.full((count,), -1, device=pixels.device)
    candidates = torch.arange(len(pixels), device=pixels.device)
    owner.scatter_reduce_(0, pixels, candidates, "amax")
    return owner[owner >= 0]
