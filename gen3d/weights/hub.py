"""Repositories of the Hugging Face hub: what is in them, and the files that are needed, checked."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download

from gen3d.errors import BadInput, Unavailable
from gen3d.provenance import sha256
from gen3d.weights.hub_errors import Refused, offline, told

_SOURCE = re.compile(r"(?P<repository>[\w-][\w.-]*/[\w.-]+)(@(?P<revision>[^:@]+))?(:(?P<file>[^:]+))?")


@dataclass(frozen=True)
class Source:
    """A repository, or one file of it.

    Args:
        repository: "owner/name".
        revision: a branch, tag or commit.
        file: of a checkpoint in one file; empty for folders in diffusers' layout.
    """

    repository: str
    revision: str = "main"
    file: str = ""

    @classmethod
    def parse(cls, text: str) -> "Source | None":
        """From "owner/name", "owner/name@revision" or "owner/name:file"; None where it is none of these."""
        found = _SOURCE.fullmatch(text)
        return cls(found["repository"], found["revision"] or "main", found["file"] or "") if found else None

    def __str__(self) -> str:
        commit = f"@{self.revision}" if self.revision != "main" else ""
        return self.repository + commit + (f":{self.file}" if self.file else "")


@dataclass(frozen=True)
class RemoteFile:
    """What the hub says of a file: bytes, and SHA-256, or for a small one git's SHA-1."""

    size: int
    digest: str

    def is_at(self, path: Path) -> bool:
        """Whether a file on this machine has the same content."""
        if path.stat().st_size != self.size:
            return False
        if len(self.digest) == 64:  # noqa: PLR2004 (hexadecimal digits of SHA-256)
            return sha256(path) == self.digest
        content = path.read_bytes()
        git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        return not self.digest or git.hexdigest() == self.digest


@dataclass(frozen=True)
class Listing:
    """The files of a repository at one commit."""

    source: Source
    commit: str
    files: Mapping[str, RemoteFile]

    def download(self, names: Iterable[str], say: Callable[[str], None]) -> Path:
        """Fetch files into the hub's cache, those that are not there yet; the folder of the commit.

        Raises:
            Refused: the repository does not give them.
            Unavailable: the network or the disk does not allow it. What has arrived is kept and gone on from.
            BadInput: what arrived is not what the hub says it has; it is gone from the cache.
        """
        names = list(names)
        self._room(names)
        folder = Path()
        for name in names:
            with told(str(self.source)):
                path = Path(hf_hub_download(self.source.repository, name, revision=self.commit))
            if not self.files[name].is_at(path):
                path.resolve().unlink()
                path.unlink(missing_ok=True)
                remedy = "it has been removed; fetch it again, and if that does not help, from another repository"
                raise BadInput(
                    f"{name} is not what the hub says it is: wrong checksum", place=str(self.source), remedy=remedy
                )
            folder = path.parents[name.count("/")]
            say(f"  {name}  {gigabytes(self.files[name].size)}")
        return folder

    def _room(self, names: list[str]) -> None:
        cache = Path(constants.HF_HUB_CACHE)
        there = cache / f"models--{self.source.repository.replace('/', '--')}" / "snapshots" / self.commit
        need = sum(self.files[name].size for name in names if not (there / name).exists())
        exists = next(folder for folder in (cache, *cache.parents) if folder.is_dir())
        free = shutil.disk_usage(exists).free
        if need > free:
            cause = f"needs {gigabytes(need)}, and {gigabytes(free)} are free"
            raise Unavailable(cause, place=str(cache), remedy="make room, or set HF_HOME to a folder on another disk")


def listing(source: Source) -> Listing:
    """What is in a repository. Raises Refused, or Unavailable where the network does not allow it."""
    if constants.HF_HUB_OFFLINE:
        raise offline(str(source))
    with told(str(source)):
        info = HfApi().model_info(source.repository, revision=source.revision, files_metadata=True)
    files = {
        file.rfilename: RemoteFile(file.size or 0, file.lfs.sha256 if file.lfs else file.blob_id or "")
        for file in info.siblings or ()
    }
    if source.file and source.file not in files:
        raise Refused(f"holds no file {source.file}", place=str(source), remedy="see the repository's page")
    return Listing(source, str(info.sha), files)


def gigabytes(size: float) -> str:
    """Bytes as text."""
    return f"{size / 1e9:.2f} GB" if size >= 1e7 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004
