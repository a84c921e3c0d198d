import re
import runpy
from pathlib import Path

import torch
from click.testing import CliRunner

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "hash_grid.py"


def test_the_benchmark_compares_equal_features() -> None:
    main = runpy.run_path(str(BENCHMARK))["main"]
    threads = str(torch.get_num_threads())
    result = CliRunner().invoke(main, ["--points", "6", "--table-log2", "8", "--repeats", "1", "--threads", threads])
    assert result.exit_code == 0, result.output
    names = re.findall(r"^(.+?) +\d+ ms forward +\d+ ms with backward +(?:-?\d+|nan) MiB$", result.output, re.MULTILINE)
    assert names == ["encoding", "density and colour", "density and its slope", "encoding, indexed by rows"]
    (difference,) = re.findall(r"features differ by ([\d.e+-]+)", result.output)
    assert float(difference) < 1e-8
