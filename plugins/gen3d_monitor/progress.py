"""Where a stage stands: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterable, Mapping

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

from gen3d.events import Event

LINES = 20
"""Lines a stage where there is no terminal."""


def terms_text(terms: Mapping[str, float]) -> str:
    """The weighted terms of the loss as "name value  name value"."""
    return "  ".join(f"{name} {value:.3g}" for name, value in terms.items())


def duration(seconds: float) -> str:
    """Seconds as 1:23:45 or 23:45."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def speed_text(steps_per_second: float) -> str:
    """Steps a second, or seconds a step where that is the larger number."""
    slow = 0 < steps_per_second < 1
    return f"{1 / steps_per_second:.1f} s/step" if slow else f"{steps_per_second:.1f} steps/s"


class Lines:
    """For files and pipes: twenty lines a stage."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock = console, clock
        self._stage, self._started = "", clock()

    def step(self, event: Event) -> None:
        """Say where the stage stands, if it is time to."""
        done, steps = event["step"] + 1, event["steps"]
        if event["stage"] != self._stage:
            self._stage, self._started, self._first = event["stage"], self.clock(), done
        if done % max(1, steps // LINES) and done != steps:
            return
        passed = self.clock() - self._started  # since the first step's end: that one may have compiled and cached
        speed = (done - self._first) / passed if passed > 0 and done > self._first else 0.0
        pace = [speed_text(speed), f"{duration((steps - done) / speed)} left"] if speed else []
        parts = [self._stage, f"{done}/{steps}", *pace, terms_text(event["terms"])]
        self.console.print("  ".join(parts), soft_wrap=True, highlight=False, markup=False)

    def stop(self) -> None:
        """Nothing is left to do."""


class Bar:
    """For a terminal: a bar a stage, and the terms below it."""

    def __init__(self, console: Console) -> None:
        self._bar = _BarWithTerms(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            _Speed(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def step(self, event: Event) -> None:
        """Move on."""
        self._bar.start()
        stage = event["stage"]
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=event["steps"])
        self._bar.terms = terms_text(event["terms"])
        self._bar.update(self._tasks[stage], completed=event["step"] + 1)

    def stop(self) -> None:
        """Leave the bar as it is."""
        self._bar.stop()


class _BarWithTerms(RichProgress):
    terms = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.terms:
            yield Text(self.terms, style="dim")


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(speed_text(task.speed) if task.speed else "")
