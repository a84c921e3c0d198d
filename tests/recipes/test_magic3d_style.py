"""`recipes/magic3d_style.yaml`: a new texture for a finished run's mesh, on tiny networks of the real classes."""

import json
from pathlib import Path

import pytest
import torch
import trimesh

from gen3d.checkpoint import load_checkpoint
from gen3d.errors import BadInput
from gen3d.recipe import Recipe
from gen3d.run import Run
from gen3d_stable_diffusion.trainee import Trainee
from tiny_stable_diffusion import write_tiny_stable_diffusion

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "magic3d_style.yaml"
FIELD = "{type: hash_grid, box: 2, levels: 4, table_log2: 10, finest: 64}"
FIRST = f"""\
gen3d: 1
steps: 3
cameras: {{views: 1, size: 8}}
representation: {{type: tetrahedra, resolution: 12, texture: {FIELD}}}
renderer: {{type: raster}}
guidance: {{smooth: {{type: normal_consistency}}}}
optimizer: {{type: adam, lr: 0.02}}
export: null
"""
SMALL = (
    "cameras.size=16",
    "representation.resolution=12",
    "stages.texture.steps=6",
    "guidance.text.prior.style.steps=2",
    "export.texture=64",
    "inputs.prompt=fox",
)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has left a ball."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "ball.yaml").write_text(FIRST)
    run = Run(Recipe.load(folder / "ball.yaml", [f"output={folder / 'run'}"]))
    run.start()
    return run


@pytest.fixture(scope="module")
def full(first: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("full")
    overrides = [
        f"inputs.run={first.directory}",
        f"output={folder / 'run'}",
        f"guidance.text.prior.weights={write_tiny_stable_diffusion(folder / 'weights')}",
        'guidance.text.prior.style.wording="{prompt} {style}"',  # the tiny encoder reads twenty letters
        f"representation.texture={FIELD}",
        *SMALL,
    ]
    run = Run(Recipe.load(RECIPE, overrides))
    run.start()
    return run


@pytest.mark.timeout(300)
def test_the_shape_stays_and_its_texture_changes(first: Run, full: Run) -> None:
    before, after = first.objects["main"], full.objects["texture"]
    assert torch.equal(before.triangles().vertices, after.triangles().vertices)
    start = load_checkpoint(full.directory / "checkpoints" / "texture-final.safetensors")
    points = after.triangles().vertices.detach()
    assert (after.texture(points) - before.texture(points)).abs().max() > 0.01
    assert start["parts"]["guidance.text"]["prior.style.words"].any()
    mesh = trimesh.load(full.outputs[0], force="mesh")
    assert len(mesh.faces) > 50
    assert mesh.visual.material.baseColorTexture.size == (64, 64)


@pytest.mark.timeout(300)
def test_the_mini_profile_runs_on_small_weights(first: Run, tmp_path: Path) -> None:
    trainee = Trainee(size=16, channels=(32, 32), words=16)
    trainee.read(["fox"])
    trainee.save(tmp_path / "weights")
    overrides = [f"inputs.run={first.directory}", f"output={tmp_path / 'run'}", *SMALL]
    overrides += [f"guidance.text.prior.weights={tmp_path / 'weights'}", "representation.texture.resolution=12"]
    run = Run(Recipe.load(RECIPE, overrides, "mini"))
    run.start()
    record = json.loads((run.directory / "run.json").read_text())
    assert record["status"] == "done"
    assert record.get("warnings", []) == []
    assert (run.directory / "asset" / "asset.glb").stat().st_size > 0


def test_a_picture_that_cannot_be_read_is_said_before_anything_is_written(first: Run, tmp_path: Path) -> None:
    overrides = [f"inputs.run={first.directory}", f"output={tmp_path / 'run'}", "inputs.style=nowhere.png"]
    with pytest.raises(BadInput, match=r"nowhere\.png: there is no such file"):
        Run(Recipe.load(RECIPE, overrides)).start()
    assert not (tmp_path / "run").exists()


def test_a_misspelt_key_of_the_style_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"prior\.style\.shares: unknown key 'shares'\n  did you mean 'share'\?"):
        Run(Recipe.load(RECIPE, ["guidance.text.prior.style.shares=0.2"]))
