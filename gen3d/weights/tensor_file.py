"""One file of tensors: safetensors, or a pickle that can hold nothing else."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from gen3d.errors import BadInput, Gen3dError, Unavailable

PICKLES = (".ckpt", ".pt", ".pth", ".bin")
"""Suffixes of files that torch.save has written."""

_TRAINERS = ("pytorch_lightning.", "lightning.", "omegaconf.")
"""Whose objects stand beside the tensors of published checkpoints; none is made, but an `_Inert` in its place."""


def read_tensor_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, read from the disk as they are used where the format allows it.

    Raises Unavailable where it is missing, BadInput where it is damaged or a pickle that could run code.
    """
    try:
        return load_file(path) if path.suffix not in PICKLES else _unpickle(path)
    except FileNotFoundError as error:
        raise Unavailable("is missing", place=str(path)) from error
    except Gen3dError:
        raise
    except Exception as error:  # readers raise whatever they stumble over in damaged bytes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        remedy = "fetch it again, whole"
        raise BadInput(f"is damaged or cut short: {reason}", place=str(path), remedy=remedy) from error


def _unpickle(path: Path) -> dict[str, Tensor]:
    try:
        content = _load(path)
    except pickle.UnpicklingError as error:
        cause = "is a pickle that holds more than tensors, or none at all: loading it could run code"
        remedy = "use a safetensors file, or save its state_dict alone with torch.save"
        raise BadInput(cause, place=str(path), remedy=remedy) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise BadInput("is no map of names to tensors", place=str(path), remedy="save a state_dict with torch.save")
    return dict(content)


def _load(path: Path) -> Any:
    """With weights_only, always: what a pickle names runs only if torch, or the list of `_TRAINERS`, knows it."""
    try:
        named = get_unsafe_globals_in_checkpoint(path)
        mapped = True
    except (RuntimeError, ValueError):  # written before torch 1.6: no zip archive, and nothing to map into memory
        named, mapped = [], False
    inert = safe_globals([(_Inert, name) for name in named if name.startswith(_TRAINERS)])
    with inert, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the pickle's version, which the person has not chosen
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


class _Inert:
    """Stands where a trainer's object stood: made of anything, and nothing happens."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass
