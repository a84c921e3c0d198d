"""What is shown of one run, from its start to its end."""

import time
from pathlib import Path
from weakref import WeakKeyDictionary

from rich.console import Console
from rich.text import Text

from gen3d import Degenerate, Step
from gen3d.run import Run
from gen3d_monitor.pictures import contact_sheet, save_picture, turntable
from gen3d_monitor.preview import due, save_preview
from gen3d_monitor.progress import duration, progress


class Monitor:
    """The state of showing one run.

    Args:
        console: where it is shown.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.progress = progress(self.console)
        self.started = time.monotonic()
        self._warned = 0

    def step(self, run: Run, step: Step) -> None:
        """Show that a step is done."""
        self.progress.step(step, run.terms)
        self.warn(run)
        if due(step):
            save_preview(run.stage, step, run.directory / "preview")

    def warn(self, run: Run) -> None:
        """Show the warnings that have not been shown."""
        for message in run.warnings[self._warned :]:
            self.console.print(Text.assemble(("warning: ", "yellow"), message), soft_wrap=True)
        self._warned = len(run.warnings)

    def finish(self, run: Run, error: BaseException | None) -> None:
        """Draw the pictures of what came out, and say where everything is."""
        self.progress.stop()
        pictures = self.pictures(run, error)
        self.warn(run)
        state = "done in" if error is None else "stopped after"
        passed = duration(time.monotonic() - self.started)
        self.console.print(Text(f"{state} {passed}", style="bold" if error is None else "bold red"))
        places = {path.suffix[1:].upper(): path for path in run.outputs[:1]} | pictures | {"run": run.directory}
        for name, path in places.items():
            self.console.print(Text.assemble((f"{name:>14}  ", "dim"), str(path)), soft_wrap=True)

    def pictures(self, run: Run, error: BaseException | None) -> dict[str, Path]:
        """The turntable and the contact sheet; of an object that is none, only the sheet, which shows why."""
        if not hasattr(run, "stage") or not (error is None or isinstance(error, Degenerate)):
            return {}
        made: dict[str, Path] = {}
        with self.console.status("drawing the pictures of the result"):
            if error is None:
                made["turntable"] = run.directory / "turntable.mp4"
                try:
                    turntable(run.stage, made["turntable"])
                except (OSError, RuntimeError) as problem:
                    run.warn(f"no turntable: {problem}")
                    del made["turntable"]
            made["contact sheet"] = run.directory / "contact_sheet.png"
            save_picture(contact_sheet(run.stage), made["contact sheet"])
        return made


_MONITORS: WeakKeyDictionary[Run, Monitor] = WeakKeyDictionary()


def monitor_of(run: Run) -> Monitor:
    """The monitor of a run, made when it is first asked for."""
    if run not in _MONITORS:
        _MONITORS[run] = Monitor()
    return _MONITORS[run]
