"""What a prior's plugin says about its weights: published names, their parts, and how other layouts become folders."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from gen3d.errors import BadInput, Unavailable
from gen3d.registry import did_you_mean
from gen3d.weights.files import FILES
from gen3d.weights.ldm import LdmCheckpoint

_MAY_BE_BARE = "vae"
"""The part that may have no weights, though it has a configuration: small networks rearrange pixels."""

_BESIDE = (".json", ".txt")
"""Suffixes of what a part holds beside its network: configurations and vocabularies."""


@dataclass(frozen=True)
class Published:
    """Published weights.

    Args:
        sources: where they can be had, the best first; each "owner/name", or "owner/name:file" of one LDM checkpoint.
        gigabytes: about as much is downloaded.
        licence: in a few words.
    """

    sources: tuple[str, ...]
    gigabytes: float
    licence: str


class Family(ABC):
    """The weights that a prior can use; the class attribute `family` of the prior holds one."""

    kind: ClassVar[str]
    """The prior's name in recipes."""

    published: ClassVar[Mapping[str, Published]]
    """By the names that recipes use."""

    parts: ClassVar[tuple[tuple[str, ...], ...]]
    """Sub-folders that must be there; of several in one place, any."""

    extras: ClassVar[tuple[str, ...]] = ()
    """Sub-folders that may be there."""

    marks: ClassVar[tuple[str, ...]]
    """What the names of a folder's files, or of a checkpoint's tensors, begin with in no other model's."""

    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """What the files do not tell, by key: the values that it can have; none given means any text."""

    def options(self, name: str, given: Mapping[str, str]) -> dict[str, str]:
        """What is `given` and what the weights' name tells. Raises BadInput for a key or value that is not known."""
        for key, value in given.items():
            if key not in self.choices:
                raise BadInput(f"unknown key {key!r}", place=self.kind, remedy=did_you_mean(key, self.choices))
            if self.choices[key] and value not in self.choices[key]:
                raise BadInput(f"{key} is {value!r}", place=self.kind, remedy=f"it is {' or '.join(self.choices[key])}")
        return self.named(name) | dict(given)

    def named(self, name: str) -> dict[str, str]:
        """What a name tells."""
        return {}

    def claims(self, names: Iterable[str]) -> bool:
        """Whether a folder with files of these names, or a checkpoint with tensors of these, is of this family."""
        return any(name.startswith(self.marks) for name in names)

    def needed(self, files: Collection[str], place: str) -> list[str]:
        """Which of a folder's files are read: of each part its best weights, and what stands beside them.

        Args:
            files: all of them, relative to the folder.
            place: where that is, for the message.

        Raises:
            Unavailable: a part is missing.
        """
        present = {PurePosixPath(file).parts[0] for file in files if "/" in file}
        chosen = ["model_index.json"] if "model_index.json" in files else []
        for names in (*self.parts, *((extra,) for extra in self.extras if extra in present)):
            part = next((name for name in names if name in present), None)
            if part is None:
                remedy = f"for {self.kind} it needs {', '.join(' or '.join(names) for names in self.parts)}"
                raise Unavailable(f"has no folder {' or '.join(names)}", place=place, remedy=remedy)
            inside = {PurePosixPath(file).name for file in files if str(PurePosixPath(file).parent) == part}
            weights = [next((name for name in FILES if name in inside), "")]
            if not weights[0] and "config.json" in inside and part != _MAY_BE_BARE:
                remedy = "it needs a file such as diffusion_pytorch_model.safetensors"
                raise Unavailable(f"has no weights in {part}", place=place, remedy=remedy)
            beside = sorted(name for name in inside if name.endswith(_BESIDE) and not name.endswith(".index.json"))
            chosen += [f"{part}/{name}" for name in (*beside, *weights) if name]
        return chosen

    @abstractmethod
    def check(self, folder: Path, options: Mapping[str, str]) -> dict[str, str]:
        """Whether a folder is whole, and of such a model; the options that hold, where it states some itself.

        Raises Unavailable or BadInput.
        """

    @abstractmethod
    def convert(self, checkpoint: LdmCheckpoint, folder: Path, options: Mapping[str, str]) -> list[str]:
        """Write a one-file checkpoint as a new folder; which of its tensors nothing has used.

        Raises:
            BadInput: it is of another model, damaged, or not all there.
            Unavailable: something is needed that is not in it.
        """


def files_below(folder: Path) -> list[str]:
    """The files of a folder and its parts, relative to it."""
    return [path.relative_to(folder).as_posix() for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file()]
