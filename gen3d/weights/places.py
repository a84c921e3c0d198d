"""Where weights are: a folder, a file, a plugin that ships them, or what was fetched or added before."""

import functools
import hashlib
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from gen3d.errors import BadInput, Unavailable
from gen3d.provenance import sha256
from gen3d.registry import did_you_mean
from gen3d.weights import store
from gen3d.weights.family import Family, files_below
from gen3d.weights.hub import Source


def find(name: str, kind: str, family: Family | None = None) -> Path:
    """The folder of some weights. Nothing is fetched; a checkpoint of one file is converted when it is first used.

    Args:
        name: a folder; a file in LDM's layout; a plugin that ships weights (`mini`); what was fetched or added under
            this name; or a repository "owner/name" that is in the hub's cache.
        kind: the prior they are for; a plugin ships them in `weights/KIND`.
        family: what the prior's plugin says about its weights; without, only what is there as a folder is found.

    Raises:
        Unavailable: they are not on this machine, or not all of them; the message says how to fetch them.
        BadInput: they are no such prior's, or damaged.
    """
    brought = shipped(kind)
    if name in brought:
        return brought[name]
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    entry = store.read(_file_name(path) if path.is_file() else name)
    if entry is None and path.is_file() and family is not None:
        from gen3d.weights.manage import add

        entry = add(_file_name(path), name, kind)
    return _whole(entry, kind) if entry is not None else _cached(name, family, brought)


def options(name: str) -> dict[str, str]:
    """What was said of weights when they were fetched or added, and their files do not tell."""
    path = Path(name).expanduser()
    entry = None if path.is_dir() else store.read(_file_name(path) if path.is_file() else name)
    return dict(entry.options) if entry is not None else {}


def describe(name: str, kind: str, family: Family) -> dict[str, Any]:
    """Source, revision, options and the files' SHA-256 of weights, as far as known. Raises what `find` raises."""
    folder = find(name, kind, family)
    path = Path(name).expanduser()
    entry = None if path.is_dir() else store.read(_file_name(path) if path.is_file() else name)
    if entry is not None and entry.folder == folder:
        digests = {file: about["sha256"] for file, about in entry.files.items()}
        about = {"source": entry.source, "revision": entry.revision, "options": entry.options}
        return {key: value for key, value in about.items() if value} | {"sha256": digests}
    commit = {"revision": folder.name} if folder.parent.name == "snapshots" else {}
    files = family.needed(files_below(folder), str(folder))
    return {"source": str(folder), **commit, "sha256": {file: _digest(folder / file) for file in files}}


def _whole(entry: store.Entry, kind: str) -> Path:
    place = f"weights: {entry.name}"
    if entry.kind != kind:
        remedy = f"choose others, or the prior {entry.kind}"
        raise BadInput(f"are weights of {entry.kind}, and not of {kind}", place=place, remedy=remedy)
    if lost := entry.incomplete():
        cause = f"{lost[0]} is missing or cut short in {entry.folder}"
        raise Unavailable(cause, place=place, remedy=f"again: {entry.again}")
    return entry.folder


def _cached(name: str, family: Family | None, shipped: dict[str, Path]) -> Path:
    """A repository that some program has fetched with all of its parts."""
    published = family.published if family is not None else {}
    if name not in published and (name.count("/") != 1 or name.startswith((".", "/", "~"))):
        known = did_you_mean(name, [*published, *shipped, *(entry.name for entry in store.entries())])
        remedy = f"give a folder or a name; {known}"
        raise Unavailable("no such folder of weights", place=f"weights: {name}", remedy=remedy)
    for text in published[name].sources if name in published else (name,):
        source = Source.parse(text)
        if family is None or source is None or source.file:
            continue
        try:
            folder = Path(snapshot_download(source.repository, revision=source.revision, local_files_only=True))
            family.needed(files_below(folder), str(folder))
        except (LocalEntryNotFoundError, Unavailable):
            continue
        except HFValidationError as error:
            raise BadInput(f"is no name of weights: {error}", place=f"weights: {name}") from error
        return folder
    size = f"   (about {published[name].gigabytes:.0f} GB)" if name in published else ""
    remedy = f"fetch them: gen3d weights fetch {name}{size}"
    if "mini" in shipped:
        remedy += "\n  or use the embedded ones: weights: mini"
    raise Unavailable("these weights are not on this machine", place=f"weights: {name}", remedy=remedy)


def _file_name(path: Path) -> str:
    """What a file's conversion is recorded as: another one when the file has changed."""
    about = path.stat()
    key = f"{path.resolve()} {about.st_size} {about.st_mtime_ns}"
    return f"{path.stem}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _digest(path: Path) -> str:
    about = path.stat()
    return _digest_of(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache
def _digest_of(path: Path, size: int, changed: int) -> str:  # noqa: ARG001 (part of the key)
    return sha256(path)


def shipped(kind: str) -> dict[str, Path]:
    """Weights that installed plugins bring in `weights/KIND`, by the plugin's name."""
    found = {}
    for entry in entry_points(group="gen3d"):
        spec = find_spec(entry.module.partition(".")[0])
        for root in (spec.submodule_search_locations or ()) if spec else ():
            folder = Path(root) / "weights" / kind
            if folder.is_dir():
                found[entry.name] = folder
    return found
