"""Read one network's folder: its configuration, its tensors, and whether they fit."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gen3d.errors import BadInput, Unavailable
from gen3d.weights.tensor_file import read_tensor_file

_NAMES = ("diffusion_pytorch_model", "model", "pytorch_model")
_VARIANTS = (".fp16_ema", "", ".fp16")
"""The average of the training's weights first, where it is named so: it predicts better."""

FILES = tuple(f"{name}{variant}.{ext}" for ext in ("safetensors", "bin") for variant in _VARIANTS for name in _NAMES)
"""What a network's weights may be called, the best first."""

_IGNORED = ("position_ids",)
"""Ends of names that older versions of the classes wrote, and whose tensors follow from the configuration."""

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


def weight_file(folder: Path) -> Path:
    """The file of a folder that holds its network's weights. Raises Unavailable where there is none."""
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        cause = f"holds no weights, such as {_NAMES[0]}.safetensors"
        raise Unavailable(cause, place=str(folder), remedy=_refetch(folder))
    return path


def read_tensors(folder: Path) -> tuple[dict[str, Tensor], Path]:
    """The tensors of a folder and the file they came from: safetensors first, else a pickle of nothing but tensors.

    Raises Unavailable where there is no weight file, BadInput where it is damaged or a pickle that runs code.
    """
    path = weight_file(folder)
    return read_tensor_file(path), path


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
    """Put tensors into a network made on the meta device, as float32. Raises BadInput where they do not `fit`."""
    fit(network, tensors, path)
    network.load_state_dict({name: tensors[name].float() for name in network.state_dict()}, assign=True)


def fit(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Whether tensors are a network's. Raises BadInput that names what is missing, left over or misshapen."""
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in tensors]
    over = [name for name in tensors if name not in wanted and not name.endswith(_IGNORED)]
    unequal = [name for name in wanted if name not in missing and wanted[name].shape != tensors[name].shape]
    causes = []
    if missing:
        causes.append(f"lacks {len(missing)} of {len(wanted)} tensors: {_some(missing)}")
    if over:
        causes.append(f"has {len(over)} that do not belong to it: {_some(over)}")
    if unequal:
        name = unequal[0]
        shapes = f"{name} is {_shape(tensors[name])}, not {_shape(wanted[name])}"
        causes.append(f"{len(unequal)} tensors do not fit: {shapes}")
    if causes:
        remedy = "the file belongs to another network than the config.json beside it"
        raise BadInput("; ".join(causes), place=str(path), remedy=remedy)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _refetch(folder: Path) -> str:
    return f"fetch {folder.name} again, all of its files"
