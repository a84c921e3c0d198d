"""What this machine has: versions, devices, optional backends, plugins."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import torch

from gen3d.plugins import installed

OPTIONAL = {
    "nerfacc": ("ray marching", "needs CUDA; plain torch does it"),
    "tinycudann": ("hash grids", "needs CUDA and a build; plain torch does it"),
    "pytorch3d": ("rasterisation", "plain torch does it"),
    "embreex": ("ray casting for datasets and figures", "pip install embreex"),
}


def examine() -> list[tuple[str, str]]:
    """Findings as (topic, text) pairs."""
    findings = [
        ("gen3d", version("gen3d")),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"),
        ("torch", torch.__version__),
        ("device", _device()),
    ]
    findings += [(name, _backend(name, *about)) for name, about in OPTIONAL.items()]
    statuses = installed().statuses
    broken = [f"{status.name} failed: {status.error}" for status in statuses if status.error]
    working = f"{len(statuses) - len(broken)} loaded"
    return [*findings, ("plugins", "; ".join([working, *broken]) if statuses else "none: run `pip install -e .` again")]


def _device() -> str:
    if not torch.cuda.is_available():
        return "cpu (no CUDA device is visible to torch): use the mini profiles"
    free, total = torch.cuda.mem_get_info()
    return f"cuda, {torch.cuda.get_device_name()}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free"


def _backend(name: str, job: str, otherwise: str) -> str:
    if find_spec(name) is None:
        return f"not installed ({job}: {otherwise})"
    try:
        return f"{version(name)} ({job})"
    except PackageNotFoundError:
        return f"installed ({job})"
