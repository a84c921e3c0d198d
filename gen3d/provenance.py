"""What a result came from: the versions of what made it, and the content of files."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gen3d.errors import BadInput, Unavailable

PACKAGES = ("gen3d", "torch", "diffusers", "transformers", "kornia", "trimesh", "xatlas", "safetensors", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python, the platform and the packages that decide a result, and how many threads share a sum."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    found["threads"] = str(torch.get_num_threads())
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is another version now, as "torch 2.11.0 -> 2.13.0"."""
    return [f"{name} {old} -> {now[name]}" for name, old in before.items() if now.get(name, old) != old]


def sha256(path: Path) -> str:
    """The checksum of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_unchanged(folder: Path, digests: Mapping[str, str]) -> None:
    """Whether files, absolute or in the folder, still have these checksums. Raises BadInput naming one that has not."""
    for name, digest in digests.items():
        file = folder / name
        if not file.is_file() or sha256(file) != digest:
            remedy = "put it back as it was, or begin a new run"
            raise BadInput("is not what it was when the run began", place=str(file), remedy=remedy)


def weights(parts: Iterable[nn.Module]) -> dict[str, dict[str, Any]]:
    """Source, revision and checksums of the weights that priors among parts, and within them, name.

    Those of which nothing is known, because no name leads to them, are left out.
    """
    modules = (module for part in parts for module in part.modules())
    named = {
        f"{family.kind}: {module.weights}": (str(module.weights), family)
        for module in modules
        if (family := getattr(module, "family", None)) is not None
    }
    found = {}
    for key, (name, family) in sorted(named.items()):
        from gen3d.weights.places import describe

        try:
            found[key] = describe(name, family.kind, family)
        except Unavailable:
            continue
    return found
