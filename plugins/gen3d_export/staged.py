"""Files that appear together or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gen3d.errors import BadInput


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """A folder beside `directory`'s files whose own files appear there only when all of them are written.

    Raises BadInput where the directory cannot be written to, or the disk fills up; what was there is then as it was.
    """
    folder = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=directory))
        yield folder
        for path in sorted(folder.iterdir()):
            path.replace(directory / path.name)
    except OSError as error:
        remedy = "make room there, or choose another output directory"
        raise BadInput(f"cannot write here: {error.strerror or error}", place=str(directory), remedy=remedy) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
