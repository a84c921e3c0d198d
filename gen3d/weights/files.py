"""Read one network's folder: its configuration, its tensors, and whether they fit."""

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gen3d.errors import BadInput, Unavailable

_NAMES = ("diffusion_pytorch_model", "model", "pytorch_model")
_VARIANTS = ("", ".fp16_ema", ".fp16")
_FILES = tuple(f"{name}{variant}.{ext}" for ext in ("safetensors", "bin") for variant in _VARIANTS for name in _NAMES)
_SHOWN = 4


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """A configuration file. Raises Unavailable where it is missing, BadInput where it is no JSON map."""
    path = folder / name
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Unavailable("is missing", place=str(path), remedy=_refetch(folder)) from error
    except (OSError, ValueError) as error:
        raise BadInput(f"is no JSON: {error}", place=str(path), remedy=_refetch(folder)) from error
    if not isinstance(config, dict):
        raise BadInput("is no JSON map", place=str(path), remedy=_refetch(folder))
    return config


def read_tensors(folder: Path) -> tuple[dict[str, Tensor], Path]:
    """The tensors of a folder and the file they came from: safetensors first, else a pickle of nothing but tensors.

    Raises Unavailable where there is no weight file, BadInput where it is damaged or a pickle that runs code.
    """
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        cause = f"holds no weights, such as {_FILES[0]}"
        raise Unavailable(cause, place=str(folder), remedy=_refetch(folder))
    try:
        tensors = load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
    except (SafetensorError, OSError, EOFError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        cause = f"is damaged or cut short: {reason}"
        raise BadInput(cause, place=str(path), remedy=_refetch(folder)) from error
    return tensors, path


def _unpickle(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        cause = "is a pickle that holds more than tensors, or none at all: loading it could run code"
        remedy = "use a safetensors file, or save its state_dict alone with torch.save"
        raise BadInput(cause, place=str(path), remedy=remedy) from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise BadInput("is no map of names to tensors", place=str(path), remedy="save a state_dict with torch.save")
    return content


def read_network(folder: Path, make: Callable[[dict[str, Any]], Any]) -> Any:
    """The network that `make` builds from a folder's configuration, with the folder's tensors.

    Raises Unavailable where a file is missing, BadInput where one is damaged or they do not fit.
    """
    config = read_config(folder)
    return filled(lambda: make(config), folder, *read_tensors(folder))


def filled(make: Callable[[], Any], folder: Path, tensors: Mapping[str, Tensor], path: Path) -> Any:
    """The network that `make` builds, with tensors read from `path`. Raises BadInput where the two do not fit."""
    try:
        with torch.device("meta"):
            network = make()
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadInput(f"config.json describes no such network: {error}", place=str(folder)) from error
    fill(network, tensors, path)
    for module in network.modules():  # the one buffer that no checkpoint holds: CLIP's
        if isinstance(getattr(module, "position_ids", None), Tensor):
            module.position_ids = torch.arange(module.position_ids.shape[-1])[None]
    return network


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put tensors into a network made on the meta device. Raises BadInput that names what is missing or misshapen."""
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in tensors]
    if missing:
        cause = f"lacks {len(missing)} of {len(wanted)} tensors: {_some(missing)}"
        raise BadInput(
            cause, place=str(path), remedy="the file belongs to another network than the config.json beside it"
        )
    unequal = [name for name in wanted if wanted[name].shape != tensors[name].shape]
    if unequal:
        name = unequal[0]
        cause = f"{len(unequal)} tensors do not fit: {name} is {_shape(tensors[name])}, not {_shape(wanted[name])}"
        raise BadInput(
            cause, place=str(path), remedy="the file belongs to another network than the config.json beside it"
        )
    network.load_state_dict({name: tensors[name].float() for name in wanted}, assign=True)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _refetch(folder: Path) -> str:
    return f"fetch {folder.name} again, all of its files"
