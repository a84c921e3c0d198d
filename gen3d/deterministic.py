"""The same bits each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch

_SETTINGS = cast("Any", torch.utils.deterministic)  # a module with an attribute that type checkers do not see


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """On a CPU, let no result depend on which of several threads comes first, while this lasts.

    Else the gradient of an indexed tensor does. On other devices nothing changes: there it costs time, and some
    operations have no such variant.
    """
    before = torch.are_deterministic_algorithms_enabled(), _SETTINGS.fill_uninitialized_memory
    if device.type == "cpu":
        torch.use_deterministic_algorithms(mode=True)
        _SETTINGS.fill_uninitialized_memory = False  # only to find mistakes, and slow
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before[0])
        _SETTINGS.fill_uninitialized_memory = before[1]
