"""What is printed of a run: its events, as a bar, as plain lines, or as they are."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

from rich.console import Console
from rich.text import Text

from gen3d.events import AUTO, Event, Listener, line
from gen3d.run import Run
from gen3d_monitor.progress import Bar, Lines, duration


class Screen:
    """Shows a run to a person: where its stages stand, warnings, and at the end where everything is.

    Args:
        progress: a bar, or a line now and then.
        console: where it is shown.
    """

    def __init__(self, progress: Bar | Lines, console: Console) -> None:
        self.progress, self.console = progress, console
        self._started = time.monotonic()
        self._directory = Path()
        self._pictures: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event["event"]:
            case "run_started" | "resumed":
                self._directory = Path(event["directory"])
            case "step":
                self.progress.step(event)
            case "warning":
                self.console.print(Text.assemble(("warning: ", "yellow"), event["message"]), soft_wrap=True)
            case "drawing":
                self.progress.stop()
                self.console.print(Text(f"drawing {event['what']}", style="dim"))
            case "picture" | "report":
                self._pictures[event["name"]] = event["path"]
            case "run_finished":
                self._finish(event)

    def _finish(self, event: Event) -> None:
        self.progress.stop()
        done, passed = event["status"] == "done", duration(time.monotonic() - self._started)
        state = f"{'done in' if done else 'stopped after'} {passed}"
        self.console.print(Text(state, style="bold" if done else "bold red"))
        files = {Path(path).suffix[1:].upper(): path for path in event["outputs"][:1]} | self._pictures
        for name, path in {**files, "run": "."}.items():
            place = str(self._directory / path)
            self.console.print(Text.assemble((f"{name:>14}  ", "dim"), place), soft_wrap=True)


class JsonLines:
    """Prints the events as they stand in events.jsonl, for programs.

    Args:
        stream: default: standard output.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def __call__(self, event: Event) -> None:
        """Print one event, at once."""
        print(line(event), file=self._stream, flush=True)


def _bar(_run: Run) -> Listener:
    console = Console()
    return Screen(Bar(console), console)


def _plain(_run: Run) -> Listener:
    console = Console()
    return Screen(Lines(console), console)


def _fitting(run: Run) -> Listener:
    """A bar where somebody looks on: on a terminal, and not in CI, which may pretend to be one."""
    return (_bar if Console().is_terminal and not os.environ.get("CI") else _plain)(run)


LOGS: Mapping[str, Callable[[Run], Listener]] = MappingProxyType(
    {AUTO: _fitting, "bar": _bar, "plain": _plain, "json": lambda _: JsonLines()}
)
