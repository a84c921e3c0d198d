"""Write weights of any known layout as a folder in diffusers', in safetensors."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file

from gen3d.errors import BadInput, Unavailable
from gen3d.weights.families import claiming, family_of
from gen3d.weights.family import Family, files_below
from gen3d.weights.files import FILES
from gen3d.weights.folder import WEIGHTS, replacing
from gen3d.weights.hub import gigabytes
from gen3d.weights.hub_errors import FULL
from gen3d.weights.ldm import LdmCheckpoint, some
from gen3d.weights.tensor_file import read_tensor_file

Say = Callable[[str], None]
"""Told what happens."""

_SAID = ("No space left", "quota", "too large", "os error 28", "os error 27")


def silent(_: str) -> None:
    """Tell nobody."""


def convert(
    source: Path, out: Path, prior: str | None = None, given: Mapping[str, str] | None = None, say: Say = silent
) -> Path:
    """Write weights as a folder in diffusers' layout, in safetensors; all of it or nothing.

    Args:
        source: a file in LDM's layout, or a folder, whose pickles are rewritten.
        out: the folder, which does not exist yet.
        prior: whose weights they are; by default whichever knows them.
        given: what the files do not tell.
        say: told what happens.

    Raises:
        Unavailable: something is missing, or the disk is full.
        BadInput: it is damaged, no such model, or `out` exists.
    """
    if out.exists():
        raise BadInput("already exists", place=str(out), remedy="give another folder")
    family, options = family_of(prior) if prior is not None else None, dict(given or {})
    if source.is_dir():
        family = family or claiming(files_below(source), str(source))
        names = family.needed(files_below(source), str(source))
        family.check(source, family.options(source.name, options))
        with _on_disk(out), replacing(out) as draft:
            for name in names:
                _rewrite(source / name, draft / name)
        return out
    checkpoint = LdmCheckpoint.read(source)
    family = family or claiming(checkpoint.tensors, str(source))
    write(checkpoint, out, family, family.options(source.stem, options), say)
    return out


def write(checkpoint: LdmCheckpoint, out: Path, family: Family, options: Mapping[str, str], say: Say) -> dict[str, str]:
    """Convert a checkpoint to a folder, check that, and swap it in; the options that hold.

    Raises Unavailable or BadInput.
    """
    with _on_disk(out), replacing(out) as draft:
        left = family.convert(checkpoint, draft, options)
        if left:
            say(f"{len(left)} tensors are of no network of {family.kind}, and left out: {some(left)}")
        return family.check(draft, options)


def _rewrite(source: Path, target: Path) -> None:
    """Copy a file of a model's folder; weights as safetensors, by the first of their names."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.name not in FILES:
        shutil.copyfile(source, target)
        return
    tensors = {name: value.contiguous().clone() for name, value in read_tensor_file(source).items()}
    save_file(tensors, target.with_name(WEIGHTS), metadata={"format": "pt"})


@contextmanager
def _on_disk(out: Path) -> Iterator[None]:
    """A full disk, said so."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        full = getattr(error, "errno", None) in FULL
        if not full and not any(words in str(error) for words in _SAID):
            cause = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise BadInput(f"cannot be written: {cause}", place=str(out), remedy="give another folder") from error
        free = next(shutil.disk_usage(folder).free for folder in out.parents if folder.is_dir())
        remedy = "make room, or give a folder on another disk (GEN3D_CACHE is where added weights go)"
        raise Unavailable(f"the disk is full: {gigabytes(free)} free", place=str(out), remedy=remedy) from error
