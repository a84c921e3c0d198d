"""Several single-threaded processes that share each step: on a busy CPU faster than one process of many threads.

A thread that the system holds up stalls the others at each of the thousands of barriers of a step; a process only at
its end, where the gradients meet.
"""

import signal
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn


def rank() -> int:
    """Which of the processes this is; 0 writes."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes."""
    if world() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    pieces = torch.split(flat / world(), [gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))


def run(work: Callable[[], None], workers: int) -> None:
    """Do the work in so many processes, which find each other through a file."""
    if workers == 1:
        work()
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        processes = spawn(_join, (work, workers, meeting), nprocs=workers, join=False)
        try:
            while not processes.join():
                pass
        except KeyboardInterrupt:
            for process in processes.processes:
                process.terminate()
            for process in processes.processes:
                process.join()  # it saves
            raise


def _join(index: int, work: Callable[[], None], workers: int, meeting: str) -> None:
    # The first process says when to stop: Ctrl-C reaches all of them, a signal to it alone does not.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=meeting, rank=index, world_size=workers)
    try:
        work()
    finally:
        distributed.destroy_process_group()
