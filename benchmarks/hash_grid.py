"""Time and memory of the hash grid in plain PyTorch, forward and backward, beside indexing the table by rows.

python benchmarks/hash_grid.py                     the published grid, 2^18 points
python benchmarks/hash_grid.py --table-log2 15     one that suits a CPU
"""

import contextlib
import math
import statistics
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import click
import torch
from torch import Tensor

from gen3d import Stage
from gen3d_nerf.hash_grid import HashGrid

MEBIBYTE = 2**20


def rows(field: HashGrid, places: Tensor) -> Tensor:
    """The same features as everybody would write them: eight rows of the table a point and level, with autograd."""
    out = []
    for level in field.encoding.levels:
        at = places * level.scale + 0.5
        cell = at.floor().long()
        share, total = at - cell, torch.zeros(len(places), 2)
        for corner in product((0, 1), repeat=3):
            i, j, k = (cell + torch.tensor(corner)).unbind(1)
            dense = i + j * level.stride + k * level.stride**2
            index = dense if level.stride else i ^ (j * 2654435761) ^ (k * 805459861)
            weight = torch.where(torch.tensor(corner) == 1, share, 1 - share).prod(1, keepdim=True)
            total = total + weight * field.encoding.table[level.first + index % level.entries]
        out.append(total)
    return torch.cat(out, dim=1)


def resident(key: str) -> float:
    """Memory of this process in MiB: `VmRSS` now, `VmHWM` at its peak; not a number but on Linux."""
    try:
        (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    except OSError:
        return math.nan
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    """Let the peak be what is resident now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def measure(name: str, work: Callable[[], Tensor], repeats: int, before: float) -> float:
    """Print the median times, the first left out, and the peak of memory over `before`; return the second time."""
    forward, both = [], []
    forget_peak()
    for _ in range(repeats + 1):
        start = time.perf_counter()
        result = work()
        forward.append(1000 * (time.perf_counter() - start))
        result.sum().backward()
        both.append(1000 * (time.perf_counter() - start))
    first, total = (statistics.median(times[1:]) for times in (forward, both))
    print(f"{name:28} {first:8.0f} ms forward  {total:8.0f} ms with backward  {resident('VmHWM') - before:7.0f} MiB")
    return total


@click.command()
@click.option("--points", default=18, show_default=True, help="Binary logarithm of their number.")
@click.option("--table-log2", default=19, show_default=True, help="Binary logarithm of a level's entries.")
@click.option("--threads", default=2, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(points: int, table_log2: int, threads: int, repeats: int) -> None:
    """Measure the encoding, then the field with its networks, then its density with analytic slopes."""
    torch.set_num_threads(threads)
    field = HashGrid(table_log2=table_log2, backend="torch")
    stage = Stage("benchmark", 1, 0, torch.device("cpu"), None, None, field, None, {})  # type: ignore[arg-type]
    field.bind(stage)
    places = torch.rand(1 << points, 3, generator=torch.Generator().manual_seed(0))
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
    print(f"16 levels ({table}), 2^{points} points, {threads} threads; memory beyond the table")
    before = resident("VmRSS")
    ours = measure("encoding", fresh(lambda: field.encoding(places)), repeats, before)
    measure("density and colour", fresh(lambda: field.density(world) + field.features(world).sum(1)), repeats, before)
    measure("density and its slope", fresh(slopes), repeats, before)
    with torch.no_grad():
        difference = (field.encoding(places) - rows(field, places)).abs().max().item()
    theirs = measure("encoding, indexed by rows", fresh(lambda: rows(field, places)), repeats, before)
    print(f"{theirs / ours:.1f} times faster; features differ by {difference:.1e}, and are up to 1e-4")


if __name__ == "__main__":
    main()
