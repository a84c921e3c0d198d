"""Tests that need a GPU, then how fast steps are on it, beside the way that published codes do them.

python -m benchmarks.gpu                      on CUDA, at the published sizes, with random weights
python -m benchmarks.gpu --device cpu         every row, at a size that only shows that it works
python -m benchmarks.gpu --device cpu --full --only "VSD, latents 32" --repeats 1      a row as it is, minutes and 10 GB
"""

import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import click
import torch

from benchmarks.gpu.measure import Row, matrix_rate, step_row, tried
from benchmarks.gpu.rendering import rendering_rows
from benchmarks.gpu.table import plain, write
from gen3d.testing.timing import wait

ROOT = Path(__file__).parents[2]
STEPS = (("sds", 64), ("sds", 32), ("sjc", 64), ("sjc", 32), ("vsd", 64), ("vsd", 32))


def tests() -> int:
    """Run those that are marked `gpu`; the exit code, 5 being that there are none."""
    if find_spec("pytest") is None:
        click.echo("the tests marked gpu are left out: pytest is not installed")
        return 0
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 (this interpreter)


def about(device: torch.device, rate: float) -> dict[str, str]:
    """What was measured on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"a CPU, {torch.get_num_threads()} threads"
    return {"device": name, "torch": torch.__version__, "matrix products": f"{rate / 1e12:.3g} TFLOP/s"}


@click.command()
@click.option("--device", default="cuda", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=Path("runs/gpu"), show_default=True)
@click.option("--full", is_flag=True, help="The published sizes on a CPU too.")
@click.option("--repeats", type=int, help="Steps of which the median is taken; default: 30, and 3 on a CPU.")
@click.option("--only", multiple=True, help="Parts of the names of rows, such as VSD; default: all.")
@click.option("--tests/--no-tests", "tested", default=True, show_default=True, help="Run the tests marked gpu first.")
def main(device: str, output: Path, repeats: int | None, only: tuple[str, ...], *, full: bool, tested: bool) -> None:
    """Measure every row and print the table."""
    place = torch.device(device)
    if place.type == "cuda" and not torch.cuda.is_available():
        raise click.ClickException("there is no CUDA here; every row is tried by: make gpu DEVICE=cpu")
    code = tests() if tested and place.type == "cuda" else 0
    full, rate = full or place.type == "cuda", matrix_rate(place)
    repeats, began = repeats or (30 if place.type == "cuda" else 3), time.monotonic()
    rows: list[Row] = []
    for kind, latent in STEPS:
        name = f"{kind.upper()}, latents {latent}x{latent}"
        if only and not any(part in name for part in only):
            continue
        size, narrow = (latent, 1) if full else (latent // 8, 40)
        rows += tried(name, lambda k=kind, s=size, n=narrow: step_row(k, s, n, place, repeats, rate))
        click.echo(f"{time.monotonic() - began:5.0f} s  {name}", err=True)
    if not only:
        rows += rendering_rows(place, repeats)
    wait(place)
    machine = about(place, rate)
    click.echo(", ".join(f"{key} {value}" for key, value in machine.items()))
    click.echo(plain(rows))
    write(output, rows, machine)
    click.echo(f"also in {output}/gpu.md and {output}/gpu.json")
    if code not in (0, 5) or (not full and any(row.problem for row in rows)):
        raise SystemExit(code or 1)


if __name__ == "__main__":
    main()
