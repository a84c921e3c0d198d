"""Work that may hang or crash, in a process of its own that ends in time."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]


class WorkerFailed(RuntimeError):
    """The process was too slow, crashed, or gave up; the message says which."""


def run_worker(script: Path, arrays: Arrays, timeout: float) -> Arrays:
    """Run `script IN.npz OUT.npz` with the arrays as IN and give what it wrote to OUT.

    The script is run by its path and not as a module, so that it starts without gen3d and torch.

    Args:
        timeout: seconds, after which the process is killed.

    Raises:
        WorkerFailed: there is no result.
    """
    with tempfile.TemporaryDirectory(prefix="gen3d-") as folder:
        given, made = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(given, **arrays)  # type: ignore[arg-type]  # its stub takes them for its flags
        command = [sys.executable, "-P", str(script), str(given), str(made)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=timeout, check=False)  # noqa: S603 (our own)
        except subprocess.TimeoutExpired as error:
            raise WorkerFailed(f"not done after {timeout:.0f} s") from error
        except OSError as error:
            raise WorkerFailed(f"no process could be started: {error.strerror}") from error
        if done.returncode or not made.exists():
            words = done.stderr.decode(errors="replace").strip().splitlines()
            raise WorkerFailed(words[-1] if words else f"it ended with code {done.returncode}")
        with np.load(made) as results:
            return dict(results)
