"""Go on with a run that was stopped: by Ctrl-C, by the system, by a power cut, by an error."""

from __future__ import annotations

from pathlib import Path

from gen3d.plugins import Plugins
from gen3d.recipe import Recipe
from gen3d.run import Run, fitting
from gen3d.run_directory import RunDirectory
from gen3d.run_record import read_record


def resume(
    run: str | Path,
    plugins: Plugins | None = None,
    vram: str | None = None,
    logs: tuple[str, ...] = (),
    port: int | None = None,
) -> Run:
    """Go on from the newest checkpoint of a run directory to the end of its recipe; done at once where it is finished.

    On a CPU the result is what it would be had the run never been stopped, bit for bit. Raises Gen3dError.

    Args:
        run: its directory.
        plugins: default: all that are installed.
        vram: what it may take of the GPU's memory, such as "8GB"; nothing changes what is made.
        logs: what is told its events, such as "plain" and "tensorboard"; default: what suits where this runs.
        port: of this computer, where it is shown while it goes on; default: nowhere.
    """
    path = Path(run)
    record = read_record(path)
    result = Run(Recipe.load(path / "resolved.yaml"), plugins)
    if record["status"] == "done":
        result.outputs = [path / name for name in record["outputs"]]
        return result
    result = fitting(result, vram, changing=False)
    result.logs, result.port = logs, port
    result.check()
    files = RunDirectory.reopen(path, result.recipe)
    result.warnings += files.remarks
    result.start(files)
    return result


def is_finished(run: str | Path) -> bool:
    """Whether nothing is left to do in a run directory. Raises BadInput where it is none."""
    return bool(read_record(Path(run))["status"] == "done")
