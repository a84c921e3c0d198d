"""`recipes/zero123_vsd.yaml` from picture to mesh: the full one on tiny networks of the real classes, and `mini`."""

import json
from pathlib import Path

import pytest
import torch
import trimesh

from gen3d.checkpoint import load_checkpoint
from gen3d.particles import Particles
from gen3d.recipe import Recipe
from gen3d.run import Run
from tiny_zero123 import write_tiny_zero123

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "zero123_vsd.yaml"
PICTURE = f"inputs.image={ROOT / 'examples' / 'barrel.png'}"
SMALL_EXPORT = ("export.resolution=24", "export.texture=64", "export.triangles=500")
SMALL = (
    "cameras.size=4",  # the tiny autoencoder's latents of 32 pixels
    "stages.color.cameras.size=16",
    "stages.color.guidance.decoded_views.size=4",
    "stages.shape.steps=8",
    "stages.color.steps=20",
    "stages.shape.representation.resolution=12",
    "stages.shape.representation.density_shift=2",  # opaque from the start: random networks carve nothing
    "stages.color.representation.resolution=12",
    "stages.color.representation.density_shift=2",
    *SMALL_EXPORT,
    "export.threshold=1.5",
)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With two particles, and a network that learns fast."""
    folder = tmp_path_factory.mktemp("full")
    overrides = [
        PICTURE,
        f"output={folder / 'run'}",
        f"guidance.novel_views.prior.weights={write_tiny_zero123(folder / 'weights')}",
        "guidance.novel_views.objective.optimizer.lr=0.01",
        "stages.shape.representation.particles=2",
        *SMALL,
    ]
    run = Run(Recipe.load(RECIPE, overrides))
    run.start()
    return run


@pytest.mark.timeout(300)
def test_the_recipe_runs_both_stages_to_a_mesh(full: Run) -> None:
    assert list(full.objects) == ["shape", "color"]
    assert [full.objects[name].space for name in full.objects] == ["latent", "rgb"]
    mesh = trimesh.load(full.outputs[0], force="mesh")
    assert 0 < len(mesh.faces) <= 500


@pytest.mark.timeout(300)
def test_particles_share_one_network_and_the_first_goes_on(full: Run) -> None:
    particles = full.stages[0].representation
    assert isinstance(particles, Particles)
    assert full.objects["shape"] is particles.members[0]
    one, other = (member.raw_color for member in particles.members)
    assert not torch.equal(one, other)


@pytest.mark.timeout(300)
def test_the_checkpoint_holds_the_network_that_has_learnt(full: Run) -> None:
    state = load_checkpoint(full.directory / "checkpoints" / "shape-final.safetensors")
    held = state["parts"]["guidance.novel_views"]
    ups = [tensor for name, tensor in held["objective.adapter"].items() if name.startswith("lora")][1::2]
    learnt = sum(bool(tensor.any()) for tensor in ups)  # zero at the start
    assert learnt >= 6 / 8 * len(ups)  # attention to the picture's one token has no use for queries and keys
    assert len(held["objective.optimizer"]) == len(held["objective.adapter"])
    assert not any("unet" in name for name in held)
    size = (full.directory / "checkpoints" / "shape-final.safetensors").stat().st_size
    assert size < 1e6


@pytest.mark.timeout(300)
def test_the_mini_profile_runs_on_the_embedded_weights(tmp_path: Path) -> None:
    overrides = [PICTURE, f"output={tmp_path / 'run'}", "stages.shape.steps=6", *SMALL_EXPORT]
    run = Run(Recipe.load(RECIPE, [*overrides, "stages.shape.representation.resolution=24"], "mini"))
    run.start()
    assert len(trimesh.load(run.outputs[0], force="mesh").faces) > 50
    assert json.loads((run.directory / "run.json").read_text())["status"] == "done"
    terms = [json.loads(line) for line in (run.directory / "events.jsonl").read_text().splitlines()]
    assert sum(line["event"] == "step" for line in terms) == 6
