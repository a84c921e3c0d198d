"""The table of `make gpu`, at tiny size."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.measure import PIECES, Row, tried
from benchmarks.gpu.networks import stable_diffusion, zero123
from benchmarks.gpu.table import HEAD, cells, plain


def test_a_row_has_all_its_figures(tmp_path: Path) -> None:
    arguments = ["--device", "cpu", "--repeats", "1", "--output", str(tmp_path), "--only", "VSD, latents 32"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert row["times"] == pytest.approx(row["steps"] / row["published"])
    assert set(row["shares"]) == {*PIECES, "else"}
    assert all(row["shares"][name] > 0 for name in PIECES)
    assert row["of_matrix_rate"] > 0
    assert row["noise"] >= 0
    assert (tmp_path / "gpu.md").read_text().splitlines()[-1].startswith("| VSD, latents 4x4 |")


def test_without_cuda_it_says_what_can_be_done(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is CUDA here")
    result = CliRunner().invoke(main, ["--output", str(tmp_path)])
    assert result.exit_code == 1
    assert "make gpu DEVICE=cpu" in result.output


def test_a_row_that_cannot_be_measured_says_why() -> None:
    def missing() -> Row:
        raise ImportError("No module named 'nerfacc'")

    (row,) = tried("voxels", missing)
    assert row.ratio is None
    assert plain([row]).splitlines()[-1] == "voxels: ImportError: No module named 'nerfacc'"
    assert len(cells(row)) == len(HEAD) == len(cells(Row("a", 2.0, 1.0)))


def test_the_networks_are_as_large_as_published() -> None:
    meta = torch.device("meta")
    plain_, posed = stable_diffusion(64, 1, meta), zero123(32, 1, meta)
    assert sum(p.numel() for p in plain_.unet.parameters()) == 865_910_724
    assert sum(p.numel() for p in plain_.codec.parameters()) == 83_653_863
    assert sum(p.numel() for p in posed.unet.parameters()) == 859_532_484  # 4 channels more than Stable Diffusion 1's
    assert sum(p.numel() for p in posed.projection.parameters()) == 593_664
