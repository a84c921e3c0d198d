"""Rows without networks: the hash grid's encoding and the drawing of a voxel grid, forward and backward."""

import math
from typing import Any

import torch
import trimesh

from benchmarks import hash_grid, volume
from benchmarks.gpu.measure import Row, empty, peak, tried
from gen3d import Cameras, Unavailable
from gen3d.testing.timing import median_ms

SIZES = (64, 128, 256, 512)
"""Pixels along a side of a view."""

ALONG = 64
"""Samples of a ray, for the hash grid."""


def rendering_rows(device: torch.device, repeats: int) -> list[Row]:
    """A row a size of each; at an eighth of it where only the code is tried."""
    full, rows = device.type == "cuda", []
    speed = hash_grid.bandwidth(device)
    for size in SIZES if full else [size // 8 for size in SIZES]:
        name, points = f"hash grid, {size}x{size}x{ALONG} points", size**2 * ALONG
        empty(device)
        rows += tried(name, lambda n=name, p=points: encoding_row(n, p, device, repeats, speed))
    for size in SIZES if full else [size // 8 for size in SIZES]:
        name = f"voxel grid, {size}x{size} rays"
        empty(device)
        rows += tried(name, lambda n=name, s=size: drawing_row(n, s, device, repeats, 100 if full else 16))
    return rows


def encoding_row(name: str, points: int, device: torch.device, repeats: int, speed: float) -> Row:
    """The fastest backend that is here, beside plain PyTorch."""
    log2 = 19 if device.type == "cuda" else 8
    found = {row.name: row for row in hash_grid.rows(device, points, log2, repeats) if row.name.endswith("backward")}
    chosen, plain = next(iter(found.values())), found["torch with backward"]
    row = Row(f"{name}, {chosen.name.split()[0]}", 1000 / chosen.ms, 1000 / plain.ms)
    row.of_bandwidth, row.memory = chosen.bytes / (chosen.ms / 1000) / speed, peak(device)
    return row


def drawing_row(name: str, size: int, device: torch.device, repeats: int, resolution: int) -> Row:
    """By the fastest backend that is here, beside dense sampling as SJC's published code has it."""
    field = volume.voxelised(trimesh.Scene(volume.barrel()), resolution, 1.0).to(device)
    cameras = Cameras.orbit(math.radians(30), math.radians(20), 1.6, math.radians(49.1), size).to(device)
    backend, draw = _drawing(field, cameras, device)

    def ours() -> None:
        field.zero_grad(set_to_none=True)
        draw().square().sum().backward()

    times, again = (median_ms(ours, device, repeats) for _ in range(2))
    row = Row(f"{name}, {backend}", 1000 / times, noise=abs(again - times) / times, memory=peak(device))
    empty(device)
    every = volume.dense(field, cameras, 0.5 * field.voxel_size)
    row.published = 1000 / median_ms(lambda: every()[0].square().sum().backward(), device, repeats)
    row.published_memory = peak(device)
    return row


def _drawing(field: Any, cameras: Cameras, device: torch.device) -> tuple[str, Any]:
    for backend in volume.BACKENDS:
        try:
            draw = volume.drawing(field, cameras, backend, device)
            draw()
        except (Unavailable, ImportError):
            continue
        return backend, draw
    raise RuntimeError("no backend can draw")
