import re
import runpy
from pathlib import Path

import torch
from click.testing import CliRunner

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "raster.py"


def test_the_benchmark_measures_each_part() -> None:
    main = runpy.run_path(str(BENCHMARK))["main"]
    threads = str(torch.get_num_threads())
    result = CliRunner().invoke(main, ["--resolution", "8", "--size", "12", "--repeats", "1", "--threads", threads])
    assert result.exit_code == 0, result.output
    milliseconds = re.findall(r"^(\w+) +[\d.]+ ms", result.output, re.MULTILINE)
    assert milliseconds == ["surface", "picture", "raster", "terms"]
