"""What the guidance `palette` promises. Install the plugin first: pip install -e ."""

import pathlib

import pytest
import torch
from gen3d_palette import Palette

import gen3d
from gen3d.plugins import load_plugins
from gen3d.recipe import Recipe
from gen3d.run import Run
from gen3d.testing import check_guidance, toy_cameras

AT_FIRST = 0.48  # from mid-grey to the nearest of the recipe's colours


def test_it_keeps_the_contract_of_a_guidance() -> None:
    """On a toy object: finite, differentiable, repeatable, without a trace in its inputs."""
    check_guidance(Palette(colors=[(1.0, 0.0, 0.0), (0.0, 0.0, 1.0)]))


def test_the_value_is_the_distance_to_the_nearest_color() -> None:
    """One covered pixel 0.5 away from red, one that nothing covers."""
    image = torch.tensor([[[[1.0, 0.5, 0.0], [0.0, 1.0, 0.0]]]])
    alpha = torch.tensor([[[[1.0], [0.0]]]])
    views = gen3d.Views(toy_cameras().resized(1, 2), image, "rgb", alpha, depth=torch.ones_like(alpha))
    signal = Palette(colors=[(1.0, 0.0, 0.0), (0.0, 0.0, 1.0)])(gen3d.Step(0, 1), views)
    assert float(signal.loss) == pytest.approx(0.5)


def test_without_colors_it_says_what_to_give() -> None:
    """Bad input gets a message, not a traceback."""
    with pytest.raises(gen3d.BadInput, match="at least one"):
        Palette(colors=[])


def test_its_recipe_brings_the_object_closer_to_the_colors(tmp_path: pathlib.Path) -> None:
    """The whole way: the entry point, the recipe's keys, the loop."""
    recipe = Recipe.load(pathlib.Path(__file__).with_name("recipe.yaml"), ["steps=10", f"output={tmp_path / 'run'}"])
    plugins = load_plugins()
    plugins.muted.add("monitor")  # a test needs no pictures of the result
    run = Run(recipe, plugins)
    run.start()
    assert run.terms["palette"] < 0.9 * AT_FIRST
