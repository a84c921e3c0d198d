"""How long something takes."""

import statistics
import time
from collections.abc import Callable

import torch


def median_ms(work: Callable[[], object], device: torch.device | str, repeats: int, warm_up: int = 3) -> float:
    """Milliseconds by the clock, with what the device does; the first `warm_up` runs are left out."""
    return statistics.median(times_ms(work, device, repeats, warm_up))


def times_ms(work: Callable[[], object], device: torch.device | str, repeats: int, warm_up: int = 3) -> list[float]:
    """The same of each run by itself."""
    times = []
    for _ in range(repeats + warm_up):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        times.append(1000 * (time.perf_counter() - start))
    return times[warm_up:]


def wait(device: torch.device | str) -> None:
    """Until the device has done everything that it was asked for."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
