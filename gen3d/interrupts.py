"""Ctrl-C, and a request to end: once lets the running step be finished, twice stops at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ANSWER = b"\nstopping after this step; once more stops at once\n"


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Whether somebody has asked to stop, while this lasts; what would raise KeyboardInterrupt does so the second time.

    Signals that are ignored, or that somebody else handles, stay as they are; so does everything in other threads than
    the main one, where no signal arrives.
    """
    asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
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
