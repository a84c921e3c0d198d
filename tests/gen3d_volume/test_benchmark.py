import re
import runpy
from pathlib import Path

import torch
from click.testing import CliRunner

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "volume.py"


def test_the_benchmark_compares_equal_pictures() -> None:
    main = runpy.run_path(str(BENCHMARK))["main"]
    threads = str(torch.get_num_threads())
    result = CliRunner().invoke(main, ["--resolution", "24", "--size", "12", "--repeats", "1", "--threads", threads])
    assert result.exit_code == 0, result.output
    milliseconds = re.findall(r"^(dense grid_sample|volume, torch) +([\d.]+) ms", result.output, re.MULTILINE)
    assert [name for name, _ in milliseconds] == ["dense grid_sample", "volume, torch"]
    (difference,) = re.findall(r"pictures differ by ([\d.e+-]+)", result.output)
    assert float(difference) < 1e-3
