"""Checkpoints: safetensors for tensors, their header for the rest; written whole or not at all."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gen3d.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a power cut, sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Save nested maps of tensors, numbers, strings and lists."""
    tensors: dict[str, Tensor] = {}
    rest = _split(state, "", tensors)
    header = {"gen3d": json.dumps({"version": VERSION, "state": rest})}
    # Copies, because safetensors refuses tensors that share memory.
    copies = {name: tensor.to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(copies, header))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load what `save_checkpoint` wrote, on the CPU. Raises BadInput where the file is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["gen3d"])
            if header["version"] != VERSION:
                raise BadInput(f"checkpoint version {header['version']} is not known", place=str(path))
            return _join(header["state"], {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except FileNotFoundError as error:
        raise BadInput("does not exist", place=str(path), remedy="give the directory of a run") from error
    except (SafetensorError, LookupError, TypeError, ValueError, OSError) as error:
        raise BadInput(f"is damaged or no checkpoint: {error}", place=str(path)) from error


def _split(node: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, Tensor):
        tensors[path] = node.detach()
        return {"tensor": path}
    if isinstance(node, dict):
        return {"map": [[key, _split(value, f"{path}/{key}", tensors)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        return {"list": [_split(value, f"{path}/{i}", tensors) for i, value in enumerate(node)]}
    return {"value": node}


def _join(node: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    ((kind, value),) = node.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "map":
        return {key: _join(item, tensors) for key, item in value}
    return [_join(item, tensors) for item in value] if kind == "list" else value
