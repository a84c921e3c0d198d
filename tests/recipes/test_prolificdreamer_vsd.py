"""`recipes/prolificdreamer_vsd.yaml`: its settings, all stages on tiny networks of the real classes, `mini`."""

from pathlib import Path

import pytest
import torch

from gen3d.checkpoint import load_checkpoint
from gen3d.errors import Degenerate
from gen3d.recipe import Recipe
from gen3d.run import Run
from text_recipes import (
    RECIPES,
    TINY_GRID,
    check_asset,
    check_gradient,
    check_mini,
    differences,
    drawn,
    start,
)

PUBLISHED = {  # thu-ml/prolificdreamer, main.py and run.sh
    "field.steps": 25000,
    "field.cameras.views": 1,
    "field.cameras.size": 512,
    "field.cameras.elevation_deg": [-30, 90],
    "field.cameras.elevation_law": "mixed",
    "field.cameras.radius": [1, 1.5],
    "field.cameras.fov_deg": [40, 70],
    "field.cameras.position_jitter": 0,
    "field.representation.box": 1,
    "field.representation.levels": 16,
    "field.representation.table_log2": 19,
    "field.representation.coarsest": 16,
    "field.representation.finest": 2048,
    "field.representation.interpolation": "smoothstep",
    "field.representation.layers": 0,
    "field.representation.activation": "softplus",
    "field.representation.blob_density": 10,
    "field.representation.blob_radius": 0.5,
    "field.representation.density_noise": 1,
    "field.renderer.background": "network",
    "field.renderer.random_background": {"0": 0, "2000": 0.5},
    "field.renderer.shading": 0,
    "field.optimizer.type": "adam",
    "field.optimizer.lr": 0.001,
    "field.optimizer.groups": {"representation.encoding": 0.01},
    "field.optimizer.betas": [0.9, 0.99],
    "field.optimizer.eps": 1e-15,
    "field.guidance.text.prior.weights": "sd-2.1-base",
    "field.guidance.text.prior.view_prompts": "bins",
    "field.guidance.text.prior.front_deg": 30,
    "field.guidance.text.prior.back_deg": 30,
    "field.guidance.text.prior.overhead_deg": 60,
    "field.guidance.text.objective.type": "vsd",
    "field.guidance.text.objective.cfg_scale": 7.5,
    "field.guidance.text.objective.camera_scale": 1,
    "field.guidance.text.objective.rank": 4,
    "field.guidance.text.objective.updates": 1,
    "field.guidance.text.objective.camera_dropout": 0.1,
    "field.guidance.text.objective.weighting": "sigma_squared",
    "field.guidance.text.objective.optimizer.type": "adamw",
    "field.guidance.text.objective.optimizer.lr": {"ramp": {"0": 0, "500": 0.0001}},
    "field.guidance.text.t_min": 0.02,
    "field.guidance.text.t_max": {"0": 0.98, "20%": 0.5},  # at step 5000, and with n particles at n times as many
    "field.guidance.solid.weight": 0.104,  # 10 / 96
    "shape.from": "field",
    "shape.steps": 15000,
    "shape.cameras.size": 512,
    "shape.cameras.fov_deg": [30, 60],
    "shape.representation.resolution": 256,
    "shape.optimizer.lr": 0.005,
    "shape.guidance.text.objective.type": "sds",
    "shape.guidance.text.objective.cfg_scale": 100,
    "shape.guidance.text.objective.weighting": "sigma_squared",
    "shape.guidance.text.picture": "normal",
    "shape.guidance.text.t_min": 0.02,
    "shape.guidance.text.t_max": 0.5,
    "shape.guidance.smooth.of": "faces",
    "shape.guidance.smooth.weight": 5000,
    "shape.guidance.even.weight": 0.5,
    "texture.from": "shape",
    "texture.steps": 30000,
    "texture.cameras.fov_deg": [30, 60],
    "texture.representation.resolution": 256,
    "texture.representation.frozen": "geometry",
    "texture.renderer.random_background": {"0": 0, "2000": 0.5},
    "texture.optimizer.lr": 0.001,
    "texture.optimizer.groups": {"representation.texture.encoding": 0.01},
    "texture.guidance.text.objective.type": "vsd",
    "texture.guidance.text.objective.cfg_scale": 7.5,
    "texture.guidance.text.picture": "image",
    "texture.guidance.text.t_max": 0.5,
}


def test_its_settings_are_the_published_ones() -> None:
    recipe = Recipe.load(RECIPES / "prolificdreamer_vsd.yaml")
    assert differences(recipe, PUBLISHED) == {}
    assert list(recipe.stages) == ["field", "shape", "texture"]
    assert set(recipe.stages["texture"].values["guidance"]) == {"text"}


def test_its_mini_profile_is_valid() -> None:
    check_mini("prolificdreamer_vsd")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start(
        "prolificdreamer_vsd",
        tmp_path_factory.mktemp("full"),
        *TINY_GRID,
        "cameras.size=16",
        "guidance.text.objective.optimizer.lr=0.01",
        *(f"stages.{name}.steps=4" for name in ("field", "shape", "texture")),
        *(f"stages.{name}.representation.resolution=10" for name in ("shape", "texture")),
    )


@pytest.mark.timeout(300)
def test_three_stages_end_in_a_textured_mesh(full: Run) -> None:
    assert {name: type(part).__name__ for name, part in full.objects.items()} == {
        "field": "HashGrid",
        "shape": "Tetrahedra",
        "texture": "Tetrahedra",
    }
    check_asset(full)


@pytest.mark.timeout(300)
def test_the_shape_changes_from_normals_and_keeps_the_colours(full: Run) -> None:
    field, shape = full.objects["field"], full.objects["shape"]
    assert shape.offsets.any()
    points = shape.triangles().vertices.detach()
    assert torch.equal(shape.texture(points), field.features(points))
    views, loss = drawn(full, 1)
    check_gradient(loss, views.normal)


@pytest.mark.timeout(300)
def test_the_texture_changes_on_the_very_same_shape(full: Run) -> None:
    shape, texture = full.objects["shape"], full.objects["texture"]
    assert torch.equal(texture.triangles().vertices, shape.triangles().vertices)
    assert torch.equal(texture.triangles().faces, shape.triangles().faces)
    points = shape.triangles().vertices.detach()
    assert (texture.texture(points) - shape.texture(points)).abs().max() > 1e-3


@pytest.mark.timeout(300)
@pytest.mark.parametrize("index", [0, 2])
def test_vsd_reaches_the_pictures_through_the_autoencoder(full: Run, index: int) -> None:
    views, loss = drawn(full, index)
    check_gradient(loss, views.image)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stage", ["field", "texture"])
def test_the_network_of_the_rendered_views_learns(full: Run, stage: str) -> None:
    state = load_checkpoint(full.directory / "checkpoints" / f"{stage}-final.safetensors")
    held = state["parts"]["guidance.text"]
    ups = [tensor for name, tensor in held["objective.adapter"].items() if name.startswith("lora")][1::2]
    assert ups
    assert all(bool(tensor.any()) for tensor in ups)  # zero at the start
    assert len(held["objective.optimizer"]) == len(held["objective.adapter"])


def test_an_empty_field_is_said_with_threshold_and_density(tmp_path: Path) -> None:
    with pytest.raises(Degenerate, match=r"threshold is 50\b.*the density never exceeds \d"):
        start(
            "prolificdreamer_vsd",
            tmp_path,
            *TINY_GRID,
            "cameras.size=16",
            *(f"stages.{name}.steps=1" for name in ("field", "shape", "texture")),
            *(f"stages.{name}.representation.resolution=10" for name in ("shape", "texture")),
            "stages.shape.representation.threshold=50",
        )
