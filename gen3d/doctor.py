"""What this machine has: versions, devices, optional backends, plugins."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

from gen3d.plugins import Plugins, installed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OPTIONAL = {
    "triton": ("hash grids and compositing", "comes with torch for CUDA; plain torch does it"),
    "nerfacc": ("compositing", "needs CUDA; plain torch does it"),
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
    findings += _jobs(installed())
    statuses = installed().statuses
    broken = [f"{status.name} failed: {status.error}" for status in statuses if status.error]
    working = f"{len(statuses) - len(broken)} loaded"
    return [*findings, ("plugins", "; ".join([working, *broken]) if statuses else "none: run `pip install -e .` again")]


def _device() -> str:
    if not torch.cuda.is_available():
        return "cpu (no CUDA device is visible to torch): use the mini profiles"
    free, total = torch.cuda.mem_get_info()
    return f"cuda, {torch.cuda.get_device_name()}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free"


def _jobs(plugins: Plugins) -> Iterator[tuple[str, str]]:
    """Who does each job that several could do, as its plugin says."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for implementation in plugins.manager.hook.describe_backends.get_hookimpls():
        try:
            answer: Mapping[str, str] = implementation.function(device)  # type: ignore[assignment]
            yield from answer.items()
        except Exception as error:  # noqa: BLE001 (one plugin's failure is a finding)
            yield implementation.plugin_name, f"cannot say: {type(error).__name__}: {error}"


def _backend(name: str, job: str, otherwise: str) -> str:
    if find_spec(name) is None:
        return f"not installed ({job}: {otherwise})"
    try:
        return f"{version(name)} ({job})"
    except PackageNotFoundError:
        return f"installed ({job})"
