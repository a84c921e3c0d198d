"""`recipes/zero123_sjc.yaml` from picture to mesh: the full one on tiny networks of the real classes, and `mini`."""

import json
from pathlib import Path

import pytest
import torch
import trimesh

from gen3d.recipe import Recipe
from gen3d.run import Run
from tiny_zero123 import write_tiny_zero123

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "zero123_sjc.yaml"
PICTURE = f"inputs.image={ROOT / 'examples' / 'barrel.png'}"
SMALL_EXPORT = ("export.resolution=24", "export.texture=64", "export.triangles=500")


def events(run: Run, stage: str, term: str) -> list[float]:
    """A term of a stage's steps, of those in which it has a weight."""
    lines = map(json.loads, (run.directory / "events.jsonl").read_text().splitlines())
    steps = (line["terms"] for line in lines if line["event"] == "step" and line["stage"] == stage)
    return [terms[term] for terms in steps if term in terms]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("full")
    overrides = [
        PICTURE,
        f"output={folder / 'run'}",
        f"guidance.novel_views.prior.weights={write_tiny_zero123(folder / 'weights')}",
        "cameras.size=4",  # the tiny autoencoder's latents of 32 pixels
        "stages.color.cameras.size=16",
        "stages.color.guidance.decoded_views.size=4",
        "stages.color.guidance.input_view.weight=1",  # what random networks decode to has little of the picture
        "stages.shape.steps=12",
        "stages.color.steps=60",
        "stages.shape.representation.resolution=12",
        "stages.shape.representation.density_shift=2",  # opaque from the start: random networks carve nothing
        "stages.color.representation.resolution=12",
        "stages.color.representation.density_shift=2",
        "stages.shape.guidance.depth_smoothness.weight={0: 0, 50%: 1}",
        *SMALL_EXPORT,
        "export.threshold=1.5",
    ]
    run = Run(Recipe.load(RECIPE, overrides))
    run.start()
    return run


@pytest.mark.timeout(300)
def test_the_published_recipe_runs_both_stages_to_a_mesh(full: Run) -> None:
    assert list(full.objects) == ["shape", "color"]
    assert [full.objects[name].space for name in full.objects] == ["latent", "rgb"]
    assert full.outputs[0].name == "asset.glb"
    mesh = trimesh.load(full.outputs[0], force="mesh")
    assert 0 < len(mesh.faces) <= 500
    assert mesh.visual.material.baseColorTexture.size == (64, 64)


@pytest.mark.timeout(300)
def test_the_latents_follow_the_picture_through_the_decoder(full: Run) -> None:
    terms = events(full, "shape", "input_view")
    assert terms[-1] < terms[0]
    assert len(events(full, "shape", "depth_smoothness")) == 6  # from half the stage on


@pytest.mark.timeout(300)
def test_the_gradient_of_the_input_view_comes_through_the_autoencoder(full: Run) -> None:
    parts = full.stages[0]
    step = full.stage.step(0)
    guidance, field = parts.guidance["input_view"], parts.representation
    (cameras,) = guidance.cameras(step, parts.cameras.sample(step))
    views = parts.renderer(field, cameras, step, guidance.needs)
    assert views.space == "latent"
    (gradient,) = torch.autograd.grad(guidance(step, views).loss, views.image)
    assert gradient.isfinite().all()
    assert gradient.abs().amax(dim=(0, 1, 2)).gt(0).all()  # every latent channel


@pytest.mark.timeout(300)
def test_the_colour_stage_fits_what_the_latents_decode_to(full: Run) -> None:
    terms = events(full, "color", "decoded_views")
    assert sum(terms[-15:]) < 0.9 * sum(terms[:15])


@pytest.mark.timeout(300)
def test_the_mini_profile_runs_on_the_embedded_weights(tmp_path: Path) -> None:
    overrides = [PICTURE, f"output={tmp_path / 'run'}", "stages.shape.steps=15", *SMALL_EXPORT]
    overrides += ["stages.shape.representation.resolution=24", "guidance.input_view.weight=1000"]
    run = Run(Recipe.load(RECIPE, overrides, "mini"))
    run.start()
    terms = events(run, "shape", "input_view")
    assert terms[-1] < 0.8 * terms[0]
    mesh = trimesh.load(run.outputs[0], force="mesh")
    assert len(mesh.faces) > 50
    assert json.loads((run.directory / "run.json").read_text())["status"] == "done"
    for name in ("contact_sheet.png", "turntable.mp4", "resolved.yaml", "checkpoints/shape-final.safetensors"):
        assert (run.directory / name).stat().st_size > 0
