"""`recipes/magic3d.yaml` and `magic3d_edit.yaml`: their settings, all stages on tiny networks of the real classes."""

from pathlib import Path

import pytest
import torch

from gen3d.recipe import Recipe
from gen3d.run import Run
from text_recipes import RECIPES, TINY_GRID, check_asset, check_gradient, check_mini, differences, drawn, start

STAGES = ("coarse", "fine")
COARSE = {  # threestudio, configs/magic3d-coarse-sd.yaml
    "coarse.cameras.views": 1,
    "coarse.cameras.size": 64,
    "coarse.cameras.elevation_deg": [-10, 45],
    "coarse.cameras.radius": [1.5, 2],
    "coarse.cameras.fov_deg": [40, 70],
    "coarse.cameras.position_jitter": 0.1,
    "coarse.cameras.center_jitter": 0.2,
    "coarse.cameras.up_jitter": 0.02,
    "coarse.representation.box": 2,
    "coarse.representation.levels": 16,
    "coarse.representation.table_log2": 19,
    "coarse.representation.coarsest": 16,
    "coarse.representation.finest": 4096,
    "coarse.representation.layers": 1,
    "coarse.representation.activation": "softplus",
    "coarse.representation.blob_density": 10,
    "coarse.representation.blob_radius": 0.5,
    "coarse.renderer.background": "network",
    "coarse.renderer.normals": "analytic",
    "coarse.renderer.textureless": 0.5,
    "coarse.renderer.diffuse": "random",
    "coarse.renderer.lamp": "cone",
    "coarse.guidance.text.prior.weights": "sd-2.1-base",
    "coarse.guidance.text.prior.front_deg": 45,
    "coarse.guidance.text.objective.type": "sds",
    "coarse.guidance.text.objective.cfg_scale": 101,  # 100 where 0 is unguided
    "coarse.guidance.text.objective.weighting": "one",
    "coarse.guidance.text.t_min": 0.02,
    "coarse.guidance.text.t_max": 0.98,
    "coarse.guidance.sparsity.type": "opacity",
    "coarse.guidance.sparsity.weight": 1,
    "coarse.optimizer.type": "adam",
    "coarse.optimizer.lr": 0.01,
    "coarse.optimizer.groups": {"renderer": 0.001},
    "coarse.optimizer.betas": [0.9, 0.99],
    "coarse.optimizer.eps": 1e-15,
}
FINE = {  # threestudio, configs/magic3d-refine-sd.yaml
    "fine.from": "coarse",
    "fine.steps": 5000,
    "fine.cameras.size": 512,
    "fine.cameras.elevation_deg": [-10, 45],
    "fine.cameras.radius": [1.5, 2],
    "fine.cameras.fov_deg": [30, 45],
    "fine.representation.resolution": 128,
    "fine.representation.threshold": None,
    "fine.renderer.background": "network",
    "fine.renderer.shading": 0.75,
    "fine.renderer.diffuse": "random",
    "fine.renderer.lamp": "cone",
    "fine.guidance.text.objective.cfg_scale": 101,
    "fine.guidance.text.objective.weighting": "sigma_squared",
    "fine.guidance.text.t_min": 0.02,
    "fine.guidance.text.t_max": 0.5,
    "fine.guidance.smooth.of": "vertices",
    "fine.guidance.smooth.weight": 10000,
    "fine.optimizer.lr": 0.01,
    "fine.optimizer.groups": None,
}
STARTING = {  # and how the coarse field comes from nothing
    "coarse.steps": 10000,
    "coarse.renderer.shading": {"0": 0, "2001": 0.75},
    "coarse.guidance.orientation.weight": {"ramp": {"0": 10, "5000": 1000}},
}
SMALL = (
    *TINY_GRID,
    "cameras.size=16",
    "stages.fine.cameras.size=16",
    "representation.box=0.6",
    "stages.coarse.steps=4",
    "stages.fine.steps=4",
    "stages.fine.representation.resolution=10",
)


def test_its_settings_are_the_published_ones() -> None:
    recipe = Recipe.load(RECIPES / "magic3d.yaml")
    assert differences(recipe, COARSE | FINE | STARTING) == {}
    assert recipe.stages["fine"].values["representation"]["texture"] == recipe.stages["coarse"].values["representation"]


def test_an_edit_has_the_same_settings() -> None:
    recipe = Recipe.load(RECIPES / "magic3d_edit.yaml")
    assert differences(recipe, COARSE | FINE | {"coarse.from": "inputs"}) == {}
    mini = [Recipe.load(RECIPES / f"{name}.yaml", (), "mini") for name in ("magic3d", "magic3d_edit")]
    places = [[recipe.stages[name].values["representation"].get("resolution") for recipe in mini] for name in STAGES]
    assert places == [[64, 64], [64, 64]]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start("magic3d", tmp_path_factory.mktemp("full"), *SMALL, "stages.coarse.renderer.shading={0: 0, 1: 1}")


@pytest.fixture(scope="module")
def edited(full: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("edited")
    return start("magic3d_edit", folder, *SMALL, f"inputs.run={full.directory}", "inputs.prompt=dog")


def test_their_mini_profiles_are_valid(full: Run) -> None:
    check_mini("magic3d")
    check_mini("magic3d_edit", f"inputs.run={full.directory}")


@pytest.mark.timeout(300)
def test_coarse_then_fine_end_in_a_textured_mesh(full: Run) -> None:
    assert [type(full.objects[name]).__name__ for name in STAGES] == ["HashGrid", "Tetrahedra"]
    check_asset(full)
    fine = full.objects["fine"]
    assert fine.offsets.any()
    points = fine.triangles().vertices.detach()
    assert (fine.texture(points) - full.objects["coarse"].features(points)).abs().max() > 1e-3


@pytest.mark.timeout(300)
@pytest.mark.parametrize("index", [0, 1])
def test_sds_reaches_the_pictures_through_the_autoencoder(full: Run, index: int) -> None:
    views, loss = drawn(full, index)
    check_gradient(loss, views.image)


@pytest.mark.timeout(300)
def test_an_edit_starts_from_the_coarse_field_of_the_run(full: Run, edited: Run) -> None:
    """In its first step; three more change it."""
    before, start_, after = full.objects["coarse"], edited.objects["inputs"], edited.objects["coarse"]
    assert torch.equal(start_.encoding.table, before.encoding.table)
    moved = (after.encoding.table - before.encoding.table).abs().max()
    assert 0 < moved <= 4 * 0.01 * 1.5  # four steps of Adam
    check_asset(edited)


@pytest.mark.timeout(300)
def test_an_edit_may_start_from_the_finished_mesh(full: Run, tmp_path: Path) -> None:
    more = ("inputs.stage=fine", "stages.coarse=null", "stages.fine.from=inputs", f"inputs.run={full.directory}")
    run = start("magic3d_edit", tmp_path, *(key for key in SMALL if not key.startswith("stages.coarse")), *more)
    assert list(run.objects) == ["inputs", "fine"]
    before, after = full.objects["fine"], run.objects["fine"]
    assert torch.equal(run.objects["inputs"].sdf, before.sdf)
    assert torch.equal(after.bounds, before.bounds)
    assert 0 < (after.sdf - before.sdf).abs().max() <= 4 * 0.01 * 1.5
    check_asset(run)
