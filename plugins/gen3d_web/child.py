"""The process of one job: `gen3d run`, or `gen3d resume` where the run was begun before.

It ends with whoever started it, saved and fit to be resumed: he holds the other end of its standard input.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from filelock import FileLock


def arguments(file: Path) -> list[str]:
    """What the command line is told.

    Args:
        file: of the job, in the folder of a queue.
    """
    job = json.loads(file.read_bytes())
    run = file.parents[2] / job["name"]
    options = ["--log", "plain", *(["--vram", job["vram"]] if job["vram"] else [])]
    if (run / "run.json").exists():
        return ["resume", *options, "--", str(run)]
    options += ["--profile", job["profile"]] if job["profile"] else []
    return ["run", *options, "--", job["recipe"], *job["overrides"], f"output={json.dumps(str(run))}"]


def end_with_parent() -> None:
    """Ask this process to save and end when its standard input does."""

    def wait() -> None:
        while os.read(0, 1024):  # not sys.stdin: its lock would be held when the process wants to end
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def main(file: Path) -> None:
    """Run the job; another process that still has it, of a server that was killed, is waited for."""
    end_with_parent()
    with FileLock(file.with_suffix(".lock")):
        from gen3d.cli import main as command

        command(arguments(file))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
