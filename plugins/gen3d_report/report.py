"""Write the page about a run."""

from pathlib import Path

from gen3d.checkpoint import write_atomically
from gen3d.errors import Unavailable
from gen3d_report.page import page
from gen3d_report.record import Record

NAME = "report.html"


def report(run: Path) -> Path:
    """Write `report.html` into a run directory, from the files that are in it, and return its path.

    One file that opens without a network: the object in 3D, its pictures, the curves, and what all of it came from.

    Raises:
        BadInput: it is no run directory.
        Unavailable: the file cannot be written.
    """
    text = page(Record.read(run))
    path = run / NAME
    try:
        write_atomically(path, text.encode("utf-8", errors="replace"))
    except OSError as error:
        raise Unavailable(f"cannot be written: {error.strerror}", place=str(path)) from error
    return path
