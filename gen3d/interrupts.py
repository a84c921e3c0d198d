"""Ctrl-C, and a request to end: once lets the running step be finished, twice stops at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ANSWER = b"\nstopping after this step; once more stops at once\n"


class Stopped(KeyboardInterrupt):
    """Ctrl-C, once: the step is finished and saved, and there is time to export what there is."""


@contextmanager
def interrupts() -> Iterator[Callable[[], int]]:
    """The signal by which somebody has asked to stop, else 0, while this lasts; the second raises KeyboardInterrupt.

    Signals that are ignored, or that somebody else handles, stay as they are; so does everything in other threads than
    the main one, where no signal arrives.
    """
    asked = 0

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = number
        handle(signal.default_int_handler)
        os.write(2, _ANSWER)  # print could be what was interrupted

    def handle(handler: Callable[[int, FrameType | None], object]) -> None:
        for number in numbers:
            signal.signal(number, handler)

    both = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    numbers = [number for number in both if signal.getsignal(number) is signal.default_int_handler]
    handle(ask)
    try:
        yield lambda: asked
    finally:
        handle(signal.default_int_handler)
