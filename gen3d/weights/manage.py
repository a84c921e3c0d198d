"""Fetch, add and verify weights: what the commands `gen3d weights ...` do."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from gen3d.errors import BadInput, Unavailable
from gen3d.provenance import sha256
from gen3d.registry import did_you_mean
from gen3d.weights import store
from gen3d.weights.convert import Say, silent, write
from gen3d.weights.families import claiming, families, family_of
from gen3d.weights.family import Family, Published, files_below
from gen3d.weights.hub import Listing, Source, listing
from gen3d.weights.hub_errors import Refused
from gen3d.weights.ldm import LdmCheckpoint
from gen3d.weights.places import shipped
from gen3d.weights.tensor_file import PICKLES

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def fetch(name: str, say: Say = silent) -> store.Entry:
    """Have published weights on this machine: all that is needed of them, checked. Without the network if they are.

    Args:
        name: of published weights, of some that were added from the hub, or a repository "owner/name".
        say: told what happens.

    Raises:
        Unavailable: no repository gives them, or network or disk do not allow it.
        BadInput: the name is unknown, or what arrived is damaged or no such model.
    """
    entry = store.read(name)
    if entry is not None:
        lost = entry.damaged()
        if not lost:
            say(f"{name} is here: {entry.folder}")
            return entry
        _forget(entry, lost)
    family = next((family for family in families().values() if name in family.published), None)
    if family is not None and (entry is None or entry.source in family.published[name].sources):
        return _from_hub(name, family.published[name], family, {}, say)
    if entry is not None:
        about = Published((entry.source,), 0, entry.licence)
        return _from_hub(name, about, family_of(entry.kind), entry.options, say)
    if Source.parse(name) is None:
        known = [name for family in families().values() for name in family.published]
        remedy = f"{did_you_mean(name, known)}; or first: gen3d weights add {name} SOURCE"
        raise BadInput("no weights are published by this name", place=name, remedy=remedy)
    return _from_hub(name, Published((name,), 0, ""), None, {}, say)


def _forget(entry: store.Entry, lost: list[str]) -> None:
    """Remove files that are not what they were, to fetch them again. Raises BadInput where they cannot be."""
    if Path(entry.source).is_absolute():
        remedy = f"put it back, or: {entry.again}"
        raise BadInput(f"{lost[0]} is missing or not what it was", place=str(entry.folder), remedy=remedy)
    for path in (entry.folder / file for file in lost):
        path.resolve().unlink(missing_ok=True)  # in the hub's cache, where the folder holds links
        path.unlink(missing_ok=True)


def add(
    name: str,
    source: str,
    prior: str | None = None,
    given: Mapping[str, str] | None = None,
    say: Say = silent,
) -> store.Entry:
    """Give weights a name for recipes.

    Args:
        name: what recipes will call them.
        source: a folder in diffusers' layout, which stays where it is; a file in LDM's, which is converted; or a
            repository "owner/name", "owner/name@revision" or "owner/name:file", which is fetched.
        prior: whose they are; by default whichever knows them.
        given: what the files do not tell, such as {"pose": "polar"}.
        say: told what happens.

    Raises:
        Unavailable: something is missing.
        BadInput: it is damaged, or no such model.
    """
    if not _NAME.fullmatch(name):
        raise BadInput("is no name for weights", place=name, remedy="use letters, digits, dots and hyphens")
    if any(name in shipped(kind) for kind in families()):
        raise BadInput("are weights that a plugin brings", place=name, remedy="choose another name")
    family = family_of(prior) if prior is not None else None
    path, options = Path(source).expanduser(), dict(given or {})
    if path.is_dir():
        return _from_folder(name, path.resolve(), family, options)
    if path.is_file():
        with _one_at_a_time(name):
            entry = _from_file(name, path.resolve(), family, options, str(path.resolve()), say)
            entry.write()
        return entry
    parsed = Source.parse(source)
    if parsed is None or (source.endswith((*PICKLES, ".safetensors")) and not parsed.file):
        raise Unavailable("no such folder or file", place=source, remedy="give one, or a repository as owner/name")
    return _from_hub(name, Published((source,), 0, ""), family, options, say)


def verify(name: str) -> tuple[store.Entry, list[str]]:
    """What is recorded of weights, and which of their files are not what they were. Raises Unavailable without any."""
    entry = store.read(name)
    if entry is None:
        remedy = f"gen3d weights fetch {name}, or gen3d weights add {name} SOURCE"
        raise Unavailable("nothing is recorded of these weights", place=name, remedy=remedy)
    return entry, entry.damaged()


def _from_hub(name: str, about: Published, family: Family | None, options: Mapping[str, str], say: Say) -> store.Entry:
    refused = []
    with _one_at_a_time(name):
        for text in about.sources:
            source = Source.parse(text)
            if source is None:
                raise BadInput("is no repository", place=text, remedy="give owner/name")
            try:
                found = listing(source)
                say(f"{name} from {source}, commit {found.commit[:12]}")
                entry = _fetched(name, found, family, dict(options), about, say)
            except Refused as error:
                say(f"{source}: {error.cause}")
                refused.append(error)
                continue
            entry.write()
            return entry
    if len(refused) == 1:
        raise refused[0]
    reasons = "\n  ".join(f"{error.place}: {error.cause}; {error.remedy}" for error in refused)
    raise Unavailable(f"none of {len(refused)} repositories gives them", place=f"weights: {name}", remedy=reasons)


def _fetched(
    name: str, found: Listing, family: Family | None, options: dict[str, str], about: Published, say: Say
) -> store.Entry:
    source = found.source
    if source.file:
        path = found.download([source.file], say) / source.file
        entry = _from_file(name, path, family, options, str(source), say)
        return store.Entry(**{**vars(entry), "revision": found.commit, "licence": about.licence})
    family = family or claiming(found.files, str(source))
    try:
        names = family.needed(list(found.files), str(source))
    except Unavailable as error:
        raise Refused(error.cause, place=error.place, remedy=error.remedy) from error
    options = family.options(name, options)
    folder = found.download(names, say)
    options = family.check(folder, options)
    files = store.contents(folder, names)
    return store.Entry(name, family.kind, str(source), folder, files, found.commit, about.licence, options)


def _from_folder(name: str, folder: Path, family: Family | None, options: dict[str, str]) -> store.Entry:
    family = family or claiming(files_below(folder), str(folder))
    names, options = family.needed(files_below(folder), str(folder)), family.options(name, options)
    options = family.check(folder, options)
    commit = folder.name if folder.parent.name == "snapshots" else ""
    entry = store.Entry(name, family.kind, str(folder), folder, store.contents(folder, names), commit, "", options)
    entry.write()
    return entry


def _from_file(
    name: str, path: Path, family: Family | None, options: dict[str, str], source: str, say: Say
) -> store.Entry:
    """A record, not kept yet, of a file that has been converted into a folder of the store."""
    checkpoint, digest = LdmCheckpoint.read(path), sha256(path)
    family = family or claiming(checkpoint.tensors, str(path))
    options = family.options(name, options)
    folder = store.root() / name.replace("/", "--")
    options = write(checkpoint, folder, family, options, say)
    names = family.needed(files_below(folder), str(folder))
    files = store.contents(folder, names)
    return store.Entry(name, family.kind, source, folder, files, "", "", options, {path.name: digest})


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    """No other process fetches or converts the same at the same time; it waits for this one."""
    store.root().mkdir(parents=True, exist_ok=True)
    with FileLock(store.root() / f".{name.replace('/', '--')}.lock"):
        yield
