"""What a run records of its weights, and that it does not go on with others."""

import hashlib
import json
from pathlib import Path

import pytest
from torch import nn

from gen3d import provenance
from gen3d.errors import BadInput
from gen3d.recipe import Recipe
from gen3d.run_directory import RunDirectory
from gen3d.weights.manage import add
from gen3d_zero123.prior import Zero123
from tiny_zero123 import write_tiny_zero123

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEN3D_CACHE", str(tmp_path / "cache"))
    return write_tiny_zero123(tmp_path / "tiny")


def test_added_weights_are_recorded_with_source_options_and_checksums(folder: Path) -> None:
    add("mine", str(folder), given={"pose": "polar"})
    around = nn.ModuleList([nn.ModuleList([Zero123(weights="mine")])])
    about = provenance.weights([around])["zero123: mine"]
    assert (about["source"], about["options"]) == (str(folder), {"pose": "polar"})
    assert about["sha256"][UNET] == hashlib.sha256((folder / UNET).read_bytes()).hexdigest()
    assert set(about["sha256"]) == {path.relative_to(folder).as_posix() for path in folder.glob("*/*")}


def test_folders_and_shipped_weights_have_checksums_too(folder: Path) -> None:
    found = provenance.weights([Zero123(weights=str(folder)), Zero123(weights="mini"), Zero123(weights="no-such")])
    assert found.keys() == {f"zero123: {folder}", "zero123: mini"}
    assert UNET in found["zero123: mini"]["sha256"]
    snapshot = folder.parent / "snapshots" / "abc123"
    snapshot.parent.mkdir()
    folder.rename(snapshot)
    assert provenance.weights([Zero123(weights=str(snapshot))])[f"zero123: {snapshot}"]["revision"] == "abc123"


def test_a_run_does_not_go_on_with_other_weights(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("gen3d: 1\n")
    files = RunDirectory.create(Recipe.load(tmp_path / "recipe.yaml", [f"output={tmp_path / 'run'}"]))
    prior = Zero123(weights=str(folder))
    files.made_with(provenance.weights([prior]))
    files.made_with(provenance.weights([prior]))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert UNET in record["weights"][f"zero123: {folder}"]["sha256"]
    (folder / "vae" / "config.json").write_text("{}")
    with pytest.raises(BadInput, match=r"weights of zero123: .*: are not what they were when the run began"):
        files.made_with(provenance.weights([prior]))
    files.lock.release()
