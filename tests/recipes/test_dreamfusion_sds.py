"""`recipes/dreamfusion_sds.yaml`: its settings, the way to a mesh on tiny networks of the real classes, and `mini`."""

import pytest

from gen3d.recipe import Recipe
from gen3d.run import Run
from text_recipes import RECIPES, TINY_GRID, check_asset, check_gradient, check_mini, differences, drawn, start

PUBLISHED = {  # threestudio, configs/dreamfusion-sd.yaml
    "main.steps": 10000,
    "main.cameras.views": 1,
    "main.cameras.size": 64,
    "main.cameras.elevation_deg": [-10, 45],
    "main.cameras.elevation_law": "mixed",
    "main.cameras.radius": [1.5, 2],
    "main.cameras.fov_deg": [40, 70],
    "main.cameras.position_jitter": 0.1,
    "main.cameras.center_jitter": 0.2,
    "main.cameras.up_jitter": 0.02,
    "main.representation.box": 2,
    "main.representation.levels": 16,
    "main.representation.table_log2": 19,
    "main.representation.coarsest": 16,
    "main.representation.finest": 4096,
    "main.representation.active_levels": {"ramp": {"2000": 8, "6000": 16}},
    "main.representation.interpolation": "linear",
    "main.representation.width": 64,
    "main.representation.layers": 1,
    "main.representation.activation": "softplus",
    "main.representation.blob_density": 10,
    "main.representation.blob_radius": 0.5,
    "main.renderer.background": "network",
    "main.renderer.random_background": 0,
    "main.renderer.normals": "analytic",
    "main.renderer.shading": {"0": 0, "2001": 0.75},
    "main.renderer.textureless": 0.5,
    "main.renderer.ambient": 0.1,
    "main.renderer.diffuse": 0.9,
    "main.renderer.lamp": "beside",
    "main.guidance.text.prior.weights": "sd-2.1-base",
    "main.guidance.text.prior.view_prompts": "bins",
    "main.guidance.text.prior.front_deg": 45,
    "main.guidance.text.prior.back_deg": 45,
    "main.guidance.text.prior.overhead_deg": 60,
    "main.guidance.text.objective.type": "sds",
    "main.guidance.text.objective.cfg_scale": 101,  # 100 where 0 is unguided
    "main.guidance.text.objective.weighting": "sigma_squared",
    "main.guidance.text.t_min": 0.02,
    "main.guidance.text.t_max": 0.98,
    "main.guidance.orientation.weight": {"ramp": {"0": 10, "5000": 1000}},
    "main.guidance.sparsity.type": "opacity",
    "main.guidance.sparsity.weight": 1,
    "main.optimizer.type": "adam",
    "main.optimizer.lr": 0.01,
    "main.optimizer.groups": {"renderer": 0.001},
    "main.optimizer.betas": [0.9, 0.99],
    "main.optimizer.eps": 1e-15,
}


def test_its_settings_are_the_published_ones() -> None:
    recipe = Recipe.load(RECIPES / "dreamfusion_sds.yaml")
    assert differences(recipe, PUBLISHED) == {}
    assert set(recipe.stages["main"].values["guidance"]) == {"text", "orientation", "sparsity"}


def test_its_mini_profile_is_valid() -> None:
    check_mini("dreamfusion_sds")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Lit from the second step on."""
    return start(
        "dreamfusion_sds",
        tmp_path_factory.mktemp("full"),
        *TINY_GRID,
        "cameras.size=16",
        "steps=5",
        "representation.box=0.6",
        "renderer.shading={0: 0, 1: 1}",
        "representation.active_levels={ramp: {0: 1, 5: 3}}",
        "export.resolution=24",
    )


@pytest.mark.timeout(300)
def test_it_ends_in_a_textured_mesh(full: Run) -> None:
    check_asset(full)
    assert set(full.terms) == {"text", "orientation", "sparsity"}


@pytest.mark.timeout(300)
def test_sds_reaches_the_pictures_through_the_autoencoder(full: Run) -> None:
    views, loss = drawn(full, 0)
    check_gradient(loss, views.image)
