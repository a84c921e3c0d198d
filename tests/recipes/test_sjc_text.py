"""`recipes/sjc_text.yaml`: its settings, both stages on tiny networks of the real classes, and `mini`."""

import pytest
import torch

from gen3d.recipe import Recipe
from gen3d.run import Run
from text_recipes import RECIPES, check_asset, check_mini, differences, drawn, start

PUBLISHED = {  # pals-ttic/sjc
    "shape.steps": 10000,
    "shape.cameras.views": 1,
    "shape.cameras.size": 64,
    "shape.cameras.elevation_deg": [-6.4, 90],  # polar angles of up to arccos(1 - 100 / 90) degrees
    "shape.cameras.elevation_law": "area",
    "shape.cameras.radius": [1.5, 1.5],
    "shape.cameras.fov_deg": [40, 70],
    "shape.representation.resolution": 100,
    "shape.representation.channels": "latent",
    "shape.representation.box": 1,
    "shape.representation.density_shift": -1,
    "shape.representation.blob_density": 0,
    "shape.renderer.background": "texture",
    "shape.renderer.background_depth": 10,
    "shape.renderer.step_ratio": 0.5,
    "shape.guidance.text.prior.weights": "sd-1.5",
    "shape.guidance.text.prior.view_text": "{view} view of {prompt}",
    "shape.guidance.text.prior.front_deg": 45,
    "shape.guidance.text.prior.back_deg": 45,
    "shape.guidance.text.prior.overhead_deg": 60,
    "shape.guidance.text.objective.type": "sjc",
    "shape.guidance.text.objective.cfg_scale": 100,
    "shape.guidance.text.objective.variance_reduced": True,
    "shape.guidance.text.t_min": 0.01,
    "shape.guidance.text.t_max": 0.969,
    "shape.guidance.emptiness.scale": 10,
    "shape.guidance.emptiness.weight": {"0": 10000, "50%": 200000},
    "shape.optimizer.type": "adamax",
    "shape.optimizer.lr": 0.05,
    "shape.optimizer.groups": {"renderer": 0.0001},
}


def test_its_settings_are_the_published_ones() -> None:
    recipe = Recipe.load(RECIPES / "sjc_text.yaml")
    assert differences(recipe, PUBLISHED) == {}
    assert set(recipe.stages["shape"].values["guidance"]) == {"text", "emptiness"}
    assert [key for key, spec in recipe.stages["color"].values["guidance"].items() if spec] == ["decoded_views"]


def test_its_mini_profile_is_valid() -> None:
    check_mini("sjc_text")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start(
        "sjc_text",
        tmp_path_factory.mktemp("full"),
        "cameras.size=4",  # the tiny autoencoder's latents of 16 pixels
        "stages.color.cameras.size=16",
        "stages.color.guidance.decoded_views.size=4",
        "stages.shape.steps=6",
        "stages.color.steps=12",
        *(f"stages.{name}.representation.resolution=12" for name in ("shape", "color")),
        # opaque from the start, and not emptied: random networks carve nothing
        *(f"stages.{name}.representation.density_shift=2" for name in ("shape", "color")),
        "guidance.emptiness.weight={0: 1, 50%: 20}",
        "export.resolution=24",
        "export.threshold=1.5",
    )


@pytest.mark.timeout(300)
def test_latents_then_colours_end_in_a_textured_mesh(full: Run) -> None:
    assert [full.objects[name].space for name in full.objects] == ["latent", "rgb"]
    check_asset(full)


@pytest.mark.timeout(300)
def test_the_background_of_the_latents_is_learnt(full: Run) -> None:
    (texture,) = full.stages[0].renderer.param_groups()["background"]
    assert texture.shape == (4, 4, 4)
    assert not full.stages[1].renderer.param_groups()


@pytest.mark.timeout(300)
def test_sjc_is_about_the_rendered_latents_themselves(full: Run) -> None:
    views, loss = drawn(full, 0)
    assert (views.space, views.image.shape) == ("latent", (1, 4, 4, 4))
    (gradient,) = torch.autograd.grad(loss, views.image)
    assert gradient.isfinite().all()
    assert gradient.all()
