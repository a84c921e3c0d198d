"""Time and memory of the hash grid, forward and backward: a row a backend, and plain PyTorch beside indexing by rows.

python benchmarks/hash_grid.py                     the published grid, 2^18 points
python benchmarks/hash_grid.py --table-log2 15     one that suits a CPU
python benchmarks/hash_grid.py --device cuda --points 22
"""

import contextlib
import math
import statistics
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import click
import torch
from torch import Tensor

from gen3d import Stage, Unavailable, rng
from gen3d.testing.timing import median_ms, wait
from gen3d_nerf.backends import Backend
from gen3d_nerf.encoding import HashEncoding
from gen3d_nerf.hash_grid import HashGrid

MEBIBYTE = 2**20
BACKENDS: tuple[Backend, ...] = ("triton", "tinycudann", "torch")
ALONG = 64  # neighbouring points are those of a ray, as a renderer asks for them
CORNERS, PAIR, PLACE = 8, 8, 12  # of a cell; bytes of two features, and of a point


class Row(NamedTuple):
    """One measurement.

    Args:
        name: of the backend, and what it did.
        ms: median milliseconds.
        bytes: that have to be moved: places, entries of all corners, features, and the same for gradients.
    """

    name: str
    ms: float
    bytes: int


def rows(device: str | torch.device, points: int, table_log2: int = 19, repeats: int = 30) -> list[Row]:
    """The encoding of 16 levels by each backend that the device has, forward, and forward with backward."""
    places, found = along_rays(points, torch.device(device)), []
    for backend in BACKENDS:
        encoding = HashEncoding(16, 16, 2048, table_log2, smooth=False).to(device)
        with contextlib.suppress(Unavailable):
            encoding.start(rng.generator(0, "benchmark"), backend)
            found += _timed(encoding, places, repeats)
    return found


def _timed(encoding: HashEncoding, places: Tensor, repeats: int) -> list[Row]:
    upstream = torch.randn(len(places), encoding.width, device=places.device)

    def both() -> None:
        encoding.table.grad = None
        encoding(places).backward(upstream)

    once = len(places) * (PLACE + len(encoding.levels) * (CORNERS + 1) * PAIR)
    twice = 2 * once + PAIR * len(encoding.table)  # whose gradient is filled with zeros first
    with torch.no_grad():
        forward = median_ms(lambda: encoding(places), places.device, repeats)
    name = encoding.choice.name
    return [
        Row(f"{name} forward", forward, once),
        Row(f"{name} with backward", median_ms(both, places.device, repeats), twice),
    ]


def bandwidth(device: str | torch.device) -> float:
    """Bytes a second of a copy that no cache holds, each counted once read and once written."""
    source = torch.empty(64 * MEBIBYTE if torch.device(device).type == "cpu" else 1024 * MEBIBYTE, device=device)
    source.zero_()
    target = torch.empty_like(source)
    return 2 * source.nbytes / median_ms(lambda: target.copy_(source), device, 10) * 1000


def along_rays(points: int, device: torch.device) -> Tensor:
    """Places in the unit cube, in the order of samples along rays."""
    stream = torch.Generator().manual_seed(0)
    ends = torch.rand(2, -(-points // ALONG), 1, 3, generator=stream)
    share = torch.linspace(0, 1, ALONG)[:, None]
    return (ends[0] + share * (ends[1] - ends[0])).flatten(0, 1)[:points].to(device).T.contiguous().T


def by_rows(field: HashGrid, places: Tensor) -> Tensor:
    """The same features as everybody would write them: eight rows of the table a point and level, with autograd."""
    out = []
    for level in field.encoding.levels:
        at = places * level.scale + 0.5
        cell = at.floor().long()
        share, total = at - cell, torch.zeros(len(places), 2, device=places.device)
        for corner in torch.tensor([*product((0, 1), repeat=3)], device=places.device):
            i, j, k = (cell + corner).unbind(1)
            dense = i + j * level.stride + k * level.stride**2
            index = dense if level.stride else i ^ (j * 2654435761) ^ (k * 805459861)
            weight = torch.where(corner == 1, share, 1 - share).prod(1, keepdim=True)
            total = total + weight * field.encoding.table[level.first + index % level.entries]
        out.append(total)
    return torch.cat(out, dim=1)


def resident(key: str, device: str) -> float:
    """Memory of the device in MiB, or of this process: `VmRSS` now, `VmHWM` at its peak; nan where that is unknown."""
    if device != "cpu":
        now = torch.cuda.memory_allocated(device) if key == "VmRSS" else torch.cuda.max_memory_allocated(device)
        return now / MEBIBYTE
    try:
        (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    except OSError:
        return math.nan
    return int(line.split()[1]) / 1024


def forget_peak(device: str) -> None:
    """Let the peak be what is resident now."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def measure(name: str, work: Callable[[], Tensor], device: str, repeats: int, before: float) -> float:
    """Print the median times, the first left out, and the peak of memory over `before`; return the second time."""
    forward, both = [], []
    forget_peak(device)
    for _ in range(repeats + 1):
        wait(device)
        start = time.perf_counter()
        result = work()
        wait(device)
        forward.append(1000 * (time.perf_counter() - start))
        result.sum().backward()
        wait(device)
        both.append(1000 * (time.perf_counter() - start))
    first, total = (statistics.median(times[1:]) for times in (forward, both))
    peak = resident("VmHWM", device) - before
    print(f"{name:28} {first:8.1f} ms forward  {total:8.1f} ms with backward  {peak:7.0f} MiB")
    return total


@click.command()
@click.option("--device", default="cpu", show_default=True)
@click.option("--points", default=18, show_default=True, help="Binary logarithm of their number.")
@click.option("--table-log2", default=19, show_default=True, help="Binary logarithm of a level's entries.")
@click.option("--threads", default=2, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(device: str, points: int, table_log2: int, threads: int, repeats: int) -> None:
    """Measure the backends, then the field with its networks, then its density with analytic slopes."""
    torch.set_num_threads(threads)
    peak = bandwidth(device)
    print(f"{device} copies {peak / 1e9:.0f} GB/s; 2^{points} points, {ALONG} along each ray")
    for name, ms, moved in rows(device, 1 << points, table_log2, repeats):
        share = moved / (ms / 1000) / peak
        print(f"{name:28} {ms:8.2f} ms  {moved / MEBIBYTE:8.0f} MiB to move, at {share:5.1%} of that")
    fields(device, 1 << points, table_log2, repeats)


def fields(device: str, points: int, table_log2: int, repeats: int) -> None:
    """Measure the field, and the encoding beside the obvious way to write it, at points in no order."""
    field = HashGrid(table_log2=table_log2).to(device)
    stage = Stage("benchmark", 1, 0, torch.device(device), None, None, field, None, {})  # type: ignore[arg-type]
    field.bind(stage)
    places = torch.rand(points, 3, generator=torch.Generator().manual_seed(0)).to(device)
    world = 2 * places - 1

    def slopes() -> Tensor:
        at = world.clone().requires_grad_()
        density = field.density(at)
        return density + torch.autograd.grad(density.sum(), at, create_graph=True)[0].square().sum(1)

    def fresh(work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        def cleared() -> Tensor:
            field.zero_grad(set_to_none=True)
            return work()

        return cleared

    count = len(field.encoding.table)
    table = f"{count / 1e6:.1f} million entries, {8 * count / MEBIBYTE:.0f} MiB"
    print(f"16 levels ({table}) by {field.encoding.choice.name}, points at random; memory beyond the table")
    before = resident("VmRSS", device)
    ours = measure("encoding", fresh(lambda: field.encoding(places)), device, repeats, before)
    both = fresh(lambda: field.density(world) + field.features(world).sum(1))
    measure("density and colour", both, device, repeats, before)
    measure("density and its slope", fresh(slopes), device, repeats, before)
    with torch.no_grad():
        difference = (field.encoding(places) - by_rows(field, places)).abs().max().item()
    theirs = measure("encoding, indexed by rows", fresh(lambda: by_rows(field, places)), device, repeats, before)
    print(f"{theirs / ours:.1f} times faster; features differ by {difference:.1e}, and are up to 1e-4")


if __name__ == "__main__":
    main()
