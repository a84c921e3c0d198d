"""Which weights are on this machine: a record each, written last, so that what is half there is not there."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gen3d.checkpoint import write_atomically
from gen3d.errors import BadInput, Unavailable
from gen3d.provenance import sha256


@dataclass(frozen=True)
class Entry:
    """Weights that are on this machine.

    Args:
        name: what recipes call them.
        kind: the prior that they are for.
        source: where they came from: "owner/name", a folder or a file.
        folder: where they are, in diffusers' layout.
        files: size and SHA-256 of each, relative to the folder, as they were when they came.
        revision: the commit that they were fetched at.
        licence: in a few words.
        options: what the files do not tell, such as the components of the pose.
        made_from: SHA-256 of the file that they were converted from.
    """

    name: str
    kind: str
    source: str
    folder: Path
    files: Mapping[str, Mapping[str, Any]]
    revision: str = ""
    licence: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    made_from: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(int(about["size"]) for about in self.files.values())

    @property
    def again(self) -> str:
        """The command that puts them right."""
        local = Path(self.source).is_absolute()
        return f"gen3d weights add {self.name} {self.source}" if local else f"gen3d weights fetch {self.name}"

    def incomplete(self) -> list[str]:
        """Files that are missing or of another size; a quick look."""
        sizes = {name: self.folder / name for name in self.files}
        return [
            name
            for name, path in sizes.items()
            if not path.is_file() or path.stat().st_size != self.files[name]["size"]
        ]

    def damaged(self) -> list[str]:
        """Files that are missing or of another content; reads all of them."""
        quick = self.incomplete()
        return [
            name for name in self.files if name in quick or sha256(self.folder / name) != self.files[name]["sha256"]
        ]

    def write(self) -> None:
        """Keep this. Raises Unavailable where it cannot be written."""
        values = asdict(self) | {"folder": str(self.folder)}
        try:
            write_atomically(record(self.name), json.dumps(values, indent=2).encode())
        except OSError as error:
            remedy = "make room, or set GEN3D_CACHE to another folder"
            raise Unavailable(f"cannot be written: {error.strerror}", place=str(root()), remedy=remedy) from error


def root() -> Path:
    """Where records and converted weights are kept: $GEN3D_CACHE, or gen3d in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("GEN3D_CACHE") or Path(cache, "gen3d")).expanduser() / "weights"


def record(name: str) -> Path:
    """The file of a name's record."""
    return root() / f"{name.replace('/', '--')}.json"


def read(name: str) -> Entry | None:
    """What is recorded of a name. Raises BadInput where that cannot be read."""
    path = record(name)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Entry(**{**values, "folder": Path(values["folder"])})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        remedy = "delete it, and fetch or add these weights again"
        raise BadInput("is no record of weights", place=str(path), remedy=remedy) from error


def entries() -> Iterator[Entry]:
    """All that is recorded, by name; records that cannot be read are left out."""
    for path in sorted(root().glob("*.json")):
        try:
            entry = read(path.stem)
        except BadInput:
            continue
        if entry is not None:
            yield entry


def contents(folder: Path, files: list[str]) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of files in a folder."""
    return {name: {"size": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in files}
