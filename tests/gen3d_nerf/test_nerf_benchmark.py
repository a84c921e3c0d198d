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
    names = re.findall(
        r"^(.+?) +[\d.]+ ms forward +[\d.]+ ms with backward +(?:-?\d+|nan) MiB$", result.output, re.MULTILINE
    )
    assert names == ["encoding", "density and colour", "density and its slope", "encoding, indexed by rows"]
    (difference,) = re.findall(r"features differ by ([\d.e+-]+)", result.output)
    assert float(difference) < 1e-8


def test_every_backend_that_the_device_has_is_a_row() -> None:
    module = runpy.run_path(str(BENCHMARK))
    rows = module["rows"]("cpu", 70, table_log2=8, repeats=1)
    assert [row.name for row in rows] == ["torch forward", "torch with backward"]
    assert all(row.ms > 0 for row in rows)
    assert rows[0].bytes == 70 * (12 + 16 * (8 + 1) * 8)  # 8 corners and one result, of two numbers of 4 bytes
    assert rows[1].bytes > 2 * rows[0].bytes
