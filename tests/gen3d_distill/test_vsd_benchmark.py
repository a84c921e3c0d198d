import re
import runpy
from pathlib import Path

import torch
from click.testing import CliRunner

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "vsd_step.py"


def test_the_benchmark_takes_whole_steps() -> None:
    main = runpy.run_path(str(BENCHMARK))["main"]
    threads = str(torch.get_num_threads())
    result = CliRunner().invoke(main, ["--narrow", "40", "--size", "64", "--threads", threads])
    assert result.exit_code == 0, result.output
    assert re.findall(r"^(\w+) +\d+ ms", result.output, re.MULTILINE) == ["encoder", "scores", "adapter", "step"]


def test_its_shapes_are_stable_diffusion_2s() -> None:
    with torch.device("meta"):
        networks = runpy.run_path(str(BENCHMARK))["networks"](64, 1, torch.device("meta"))
    assert sum(parameter.numel() for parameter in networks.unet.parameters()) == 865_910_724
    assert sum(parameter.numel() for parameter in networks.codec.parameters()) == 83_653_863
