"""A run that is watched: what people see of it, and what they ask of it, between two of its steps."""

import time
from collections.abc import Mapping
from queue import Empty

import click

from gen3d import Cameras, Step, Views
from gen3d.run import Run
from gen3d_viewer.page import Page, imported
from gen3d_viewer.painter import Painter

LINES = ("stage", "step", "speed", "terms", "picture")
BUTTONS = {
    "pause": "Pause",
    "go_on": "Go on",
    "save": "Save a checkpoint now",
    "export": "Export now",
    "stop": "Stop (it can be resumed)",
}
_RUNNING, _PAUSED = ("pause", "save", "export", "stop"), ("go_on", "save", "export", "stop")
_TELL_EVERY = 0.5  # seconds
_POLL = 0.03  # seconds between looks at the camera while the run waits


class Watching:
    """The page of one run.

    Args:
        run: which is shown.
        port: where, or at the next that is free.
    """

    page: Page
    painter: Painter

    def __init__(self, run: Run, port: int) -> None:
        imported()
        self.run, self.port = run, port
        self.paused = False
        self.spent = 0.0
        """Seconds that this has taken of the run, all in all, but for those in which it was paused."""
        self._told_at = self._steps = 0.0
        answers = (self._pause, self._go_on, self._save, self._export, self._stop)
        self._answers = dict(zip(BUTTONS, answers, strict=True))

    def start(self) -> None:
        """Serve the page and say where."""
        self.page = Page(self.run.recipe.name, self.port, LINES, BUTTONS)
        self.painter = Painter(self.page)
        self._offer()
        if self.page.port != self.port:
            click.echo(f"port {self.port} is in use", err=True)
        click.echo(self.page.where, err=True)

    def step(self, step: Step, views: Mapping[Cameras, Views]) -> None:
        """Do what was asked for, draw for those who look, and wait while the run is paused."""
        began = time.perf_counter()
        self._steps += 1
        self._mind(step)
        if self.page.viewpoints():
            self._tell(step, views)
            self.painter.look(self.run.stage, step)
        self.spent += time.perf_counter() - began
        if self.paused:
            self._wait(step)

    def close(self) -> None:
        """Serve the page no more, if it ever was."""
        del _WATCHED[self.run]
        if hasattr(self, "page"):
            self.page.close()
            click.echo(f"to look at it again: gen3d view {self.run.directory}", err=True)

    def _mind(self, step: Step, patience: float = 0.0) -> None:
        """Do what was asked for; where nothing was, wait a little."""
        try:
            wish = self.page.wishes.get(block=patience > 0, timeout=patience)
        except Empty:
            return
        self._answers[wish](step)

    def _wait(self, step: Step) -> None:
        """Until somebody wants it to go on or to stop; the object can be looked at meanwhile."""
        self.run.save(step)  # whatever ends the wait
        self.run.files.log("paused", stage=step.stage, step=step.index)
        with self.run.files.paused():
            while self.paused and not self.run.is_stopping():
                drawn = self.painter.look(self.run.stage, step, waiting=True)
                self._mind(step, 0.0 if drawn else _POLL)
        self.paused, self._told_at = False, 0.0
        self._offer()

    def _tell(self, step: Step, views: Mapping[Cameras, Views]) -> None:
        now = time.perf_counter()
        if now - self._told_at < _TELL_EVERY:
            return
        speed = self._steps / (now - self._told_at) if self._told_at else 0.0
        terms = "\n".join(f"{name} {value:.4g}" for name, value in self.run.terms.items())
        self.page.tell(stage=step.stage, step=f"{step.index + 1} of {step.total}", terms=terms)
        if speed:
            self.page.tell(speed=f"{speed:.2g} steps/s")
        self.page.show_cameras(views, self.run.stage.reference)
        self._told_at, self._steps = now, 0.0

    def _offer(self) -> None:
        names = _PAUSED if self.paused else _RUNNING
        self.page.offer(*(name for name in names if name != "export" or self.run.exporter is not None))

    def _pause(self, step: Step) -> None:
        self.paused = True
        self.page.tell(speed="paused")
        self._offer()

    def _go_on(self, step: Step) -> None:
        self.paused = False

    def _save(self, step: Step) -> None:
        self.run.save(step)
        self.page.note(f"checkpoint after step {step.index + 1} of {step.stage}")

    def _export(self, step: Step) -> None:
        self.page.note("exporting: the run goes on when it is done")
        try:
            self.run.export()
        except Exception as error:  # noqa: BLE001 (half an object need not be fit for it)
            self.page.note(f"what there is cannot be exported: {error}")
        else:
            self.page.note(f"exported: {self.run.outputs[0] if self.run.outputs else 'nothing'}")

    def _stop(self, step: Step) -> None:
        self.run.stop()
        self.page.note("stopping after this step")


_WATCHED: dict[Run, Watching] = {}


def watch_at(run: Run, port: int) -> None:
    """Show a run when it starts. Raises Unavailable without viser."""
    _WATCHED[run] = Watching(run, port)


def watching(run: Run) -> Watching | None:
    """What shows a run; None where nobody has asked for it."""
    return _WATCHED.get(run)
