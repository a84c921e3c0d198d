"""One process at a time writes to a run's directory."""

from pathlib import Path

from filelock import FileLock, Timeout

from gen3d.errors import BadInput

LOCK = ".lock"
"""The name of the file, which stays."""


def locked(folder: Path) -> FileLock:
    """Hold the folder until `release` is called or the process ends, however it does: the system frees it then.

    Raises:
        BadInput: another process holds it, or it cannot be written to.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        remedy = "wait for it, or stop it first"
        raise BadInput("another process is writing to it", place=str(folder), remedy=remedy) from error
    except OSError as error:
        remedy = "give it back the permissions that it had"
        raise BadInput(f"cannot be written: {error.strerror}", place=str(folder), remedy=remedy) from error
    return lock
