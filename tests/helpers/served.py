"""The page's queue with jobs of the smallest parts, and its server as a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import stops
from gen3d_web.jobs import Job, Jobs

PATIENCE = 100
"""Seconds for processes that share their cores with others."""
ADDRESS = re.compile(r"open (http://127\.0\.0\.1:(\d+)) ")

LISTENING = """
import signal
from gen3d.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts in the background of a shell ignores it
main()
"""

TINY = """\
# A small thing.
gen3d: 1
inputs: {image: barrel.png, elevation_deg: 15, radius: 1.75}
steps: 20
cameras: {views: 1, size: 24}
representation: {type: voxel, resolution: 16, box: 0.7, channels: rgb, blob_density: 10, blob_radius: 0.5}
renderer: {type: volume, background: white}
guidance: {input_view: {type: reference_view, size: 24, mask_weight: 1, weight: 100}}
optimizer: {type: adam, lr: 0.05}
export: {type: game_mesh, triangles: 500, texture: 128, resolution: 32}
profiles: {mini: {seed: 1}}
"""
"""A recipe of real parts, without a prior, of which a GLB comes out in seconds."""


def toys(patch: pytest.MonkeyPatch) -> None:
    """The toy parts of `stops` for the processes that are started from here, quietly."""
    patch.setenv("GEN3D_PLUGINS", str(Path(stops.__file__)))
    patch.setenv("PYTHONPATH", str(Path(stops.__file__).parent))
    patch.setenv("OMP_NUM_THREADS", "1")


def toy_job(jobs: Jobs, *overrides: str, name: str | None = None) -> Job:
    """A queued job of a toy recipe, a few milliseconds a step."""
    recipe = jobs.runs / "toy.yaml"
    recipe.write_text(stops.RECIPE, encoding="utf-8")
    return jobs.put(Job(name or jobs.new_name(), "a toy", str(recipe), ("device=cpu", *overrides)))


def until(happened: Callable[[], object], what: str) -> None:
    """Wait for something."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.05)


def steps_of(run: Path) -> int:
    """How many steps a run has recorded."""
    events = run / "events.jsonl"
    return events.read_bytes().count(b'"event": "step"') if events.exists() else 0


@contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The command `gen3d serve` on folder/runs with a tiny recipe: its address and its process, ended afterwards."""
    recipe = folder / "tiny.yaml"
    recipe.write_text(TINY, encoding="utf-8")
    command = [
        sys.executable,
        "-c",
        LISTENING,
        "serve",
        "--runs",
        str(folder / "runs"),
        "--recipe",
        str(recipe),
        *options,
    ]
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    try:
        until(lambda: ADDRESS.search(log.read_text()) or server.poll() is not None, "the server")
        address = ADDRESS.search(log.read_text())
        assert address, log.read_text()
        yield address[1], server
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGINT)
        assert server.wait(PATIENCE) in {0, -signal.SIGKILL}, log.read_text()
