"""What a row of the table holds, and how it is measured."""

import gc
import resource
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu.steps import Bench, Kind, bench
from gen3d.testing.timing import median_ms, times_ms

GIBIBYTE = 2**30
PIECES = ("prior", "encoder", "adapter", "renderer")
WARM_UP = 4
"""Steps left out: the first of each call is as it is, the second records it."""


@dataclass
class Row:
    """One line.

    Args:
        name: what is done.
        steps: a second.
        published: steps a second of the published way, or of the plain one.
        noise: how far apart two timings of the same version are, as a share.
        memory: GiB of the device at the peak.
        published_memory: the same of the published way.
        shares: of a step's time, by piece.
        of_matrix_rate: share of the device's measured rate of matrix products that a step reaches.
        of_bandwidth: share of the device's measured bandwidth at which it moves the bytes that it must.
        problem: why there are no figures.
    """

    name: str
    steps: float | None = None
    published: float | None = None
    noise: float | None = None
    memory: float | None = None
    published_memory: float | None = None
    shares: dict[str, float] = field(default_factory=dict)
    of_matrix_rate: float | None = None
    of_bandwidth: float | None = None
    problem: str = ""

    @property
    def ratio(self) -> float | None:
        """Times faster than the published way."""
        return self.steps / self.published if self.steps and self.published else None


def step_row(kind: Kind, latent: int, narrow: int, device: torch.device, repeats: int, matrix_rate: float) -> Row:
    """A step with one view: of ours, of the published way, of ours again."""
    names = {"sds": "SDS", "sjc": "SJC, Zero-1-to-3", "vsd": "VSD"}
    row = Row(f"{names[kind]}, latents {latent}x{latent}")
    ours, row.memory, made = _timed(kind, latent, narrow, device, repeats, ours=True)
    row.shares = _shares(made, ours, device, max(1, repeats // 3))
    flops = _flops(made)
    again = statistics.median(times_ms(made.step, device, repeats, 1))
    del made
    theirs, memory, made = _timed(kind, latent, narrow, device, repeats, ours=False)
    row.published_memory = memory if device.type == "cuda" else None  # else it contains what ours took
    del made
    row.steps, row.published, row.noise = 1000 / ours, 1000 / theirs, abs(again - ours) / ours
    row.of_matrix_rate = flops / (ours / 1000) / matrix_rate
    return row


def matrix_rate(device: torch.device, repeats: int = 10) -> float:
    """Floating-point operations a second in products of large matrices, bfloat16 where there is CUDA."""
    side, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (256, torch.float32)
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / (median_ms(lambda: one @ other, device, repeats) / 1000)


def _timed(
    kind: Kind, latent: int, narrow: int, device: torch.device, repeats: int, *, ours: bool
) -> tuple[float, float, Bench]:
    """Milliseconds a step, GiB at the peak, and what was measured."""
    empty(device)
    made = bench(kind, latent, narrow, device, ours=ours)
    empty(device)  # networks are made in float32
    times = times_ms(made.step, device, repeats, WARM_UP if device.type == "cuda" else 1)
    return statistics.median(times), peak(device), made


def _shares(made: Bench, whole: float, device: torch.device, repeats: int) -> dict[str, float]:
    """Of a step; pieces are timed by themselves, so what is left may be nothing."""
    warm_up = WARM_UP if device.type == "cuda" else 0
    times = {name: median_ms(work, device, repeats, warm_up) for name, work in made.pieces().items()}
    shares = {name: times[name] / whole for name in PIECES}
    return shares | {"else": max(0.0, 1 - sum(shares.values()))}


def _flops(made: Bench) -> float:
    """Floating-point operations of a step, counted where nothing is replayed."""
    graphs = made.guidance.prior._graphs  # noqa: SLF001
    replays, graphs.wanted = graphs.wanted, False
    with FlopCounterMode(display=False) as counter:
        made.step()
    graphs.wanted = replays
    return float(counter.get_total_flops())


def peak(device: torch.device) -> float:
    """GiB taken of the device at most since `empty`, what graphs keep included; on a CPU of the process, ever."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / GIBIBYTE
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIBIBYTE


def empty(device: torch.device) -> None:
    """Let nothing of what was measured before count."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def tried(name: str, work: Callable[[], Any]) -> list[Row]:
    """The rows of some work, or one that says why there are none."""
    try:
        found = work()
    except (ImportError, RuntimeError, NotImplementedError, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return [Row(name, problem=f"{type(error).__name__}: {reason}")]
    return found if isinstance(found, list) else [found]
