"""What the evaluations of recipes have in common."""

import contextlib
import json
from pathlib import Path
from typing import Any

import torch

from gen3d.checkpoint import write_atomically
from gen3d.errors import BadInput
from gen3d.plugins import Plugins, load_plugins


def claim(output: Path, protocol: dict[str, Any]) -> None:
    """Refuse to mix figures of different settings: what an output folder holds was made by one protocol."""
    stored, text = output / "protocol.json", json.dumps(protocol, indent=1, default=str)
    if stored.is_file() and stored.read_text() != text:
        cause = "holds figures of another recipe or protocol"
        raise BadInput(cause, place=str(output), remedy="give another --output, or remove that folder")
    write_atomically(stored, text.encode())


def quiet_plugins() -> Plugins:
    """The installed plugins without their observers: no films of what is only measured."""
    plugins = load_plugins()
    plugins.muted.update(status.name for status in plugins.statuses)
    return plugins


def forget_peak() -> None:
    """Let the peak of memory be what is in use now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, float]:
    """MiB at the peak: `resident` of this process, where the system tells (Linux), and `cuda`."""
    peak: dict[str, float] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                peak["resident"] = int(line.split()[1]) / 1024
    if torch.cuda.is_available():
        peak["cuda"] = torch.cuda.max_memory_allocated() / 2**20
    return {name: round(mib, 1) for name, mib in peak.items()}
