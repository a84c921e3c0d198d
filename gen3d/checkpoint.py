"""Checkpoints: safetensors for tensors, their header for the rest and a checksum; written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from gen3d.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 2
"""Of the format; version 1, which can still be read, had no checksum."""


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
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """So that a new name survives a power cut, as the file's content does."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Save nested maps of tensors, numbers, strings and lists."""
    tensors: dict[str, Tensor] = {}
    rest = _split(state, "", tensors)
    # Copies, because safetensors refuses tensors that share memory.
    copies = {name: tensor.to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    header = {"version": VERSION, "sha256": _checksum(rest, copies), "state": rest}
    write_atomically(path, save(copies, {"gen3d": json.dumps(header)}))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load what `save_checkpoint` wrote, on the CPU. Raises BadInput where the file is missing or damaged."""
    try:
        return _read(path)
    except FileNotFoundError as error:
        raise BadInput("does not exist", place=str(path), remedy="give the directory of a run") from error
    except BadInput:
        raise
    except Exception as error:  # readers raise whatever they stumble over in damaged bytes
        raise BadInput(f"is damaged or no checkpoint: {error}", place=str(path)) from error


def _read(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        header = json.loads((file.metadata() or {})["gen3d"])
        if header["version"] not in {1, VERSION}:
            raise BadInput(f"checkpoint version {header['version']} is not known", place=str(path))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    if header["version"] == VERSION and header["sha256"] != _checksum(header["state"], tensors):
        raise BadInput("is damaged: its checksum is another one", place=str(path))
    state = _join(header["state"], tensors)
    if not isinstance(state, dict):
        raise BadInput("is no checkpoint: it holds no map", place=str(path))
    return state


def _checksum(rest: Any, tensors: dict[str, Tensor]) -> str:
    """SHA-256 of everything that is loaded."""
    digest = hashlib.sha256(json.dumps(rest).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
