"""TensorBoard as one of those who are told a run's events: `gen3d run RECIPE --log bar --log tensorboard`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gen3d import hookimpl

if TYPE_CHECKING:
    from gen3d.events import Listener
    from gen3d.run import Run


def _board(run: "Run") -> "Listener":
    from gen3d_tensorboard.board import Board

    return Board(run)


@hookimpl
def event_logs() -> "Mapping[str, Callable[[Run], Listener]]":
    """Under the name "tensorboard"."""
    return {"tensorboard": _board}
