"""Colours, depth and normals of the object as pictures for people."""

import math

import numpy as np
import pytest
import torch

from gen3d import Cameras, Guidance, Prior, Signal, Stage, Step, Views
from gen3d.testing import GaussianPrior, ToyField, ToyRenderer, toy_stage
from gen3d_monitor.drawing import _depth, around, draw

SIZE = 33
MIDDLE = SIZE // 2


class WithPrior(Guidance):
    """A term that has a prior, as `distill` has."""

    def __init__(self) -> None:
        super().__init__()
        self.prior: Prior = GaussianPrior(0.0, 1.0)

    def forward(self, step: Step, *views: Views) -> Signal:
        return Signal(views[0].image.sum())


def stage_of(field: ToyField, guidance: dict[str, Guidance] | None = None) -> Stage:
    stage = toy_stage(guidance or {}, size=16)
    stage.representation = field
    return stage


def test_cameras_stand_all_around_and_begin_at_the_front() -> None:
    cameras = around(8, SIZE)
    assert (len(cameras), cameras.height, cameras.width) == (8, SIZE, SIZE)
    expected = torch.arange(8) * math.pi / 4
    torch.testing.assert_close(torch.remainder(cameras.azimuth + 0.01, 2 * math.pi) - 0.01, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(cameras.elevation, torch.full((8,), math.radians(15)))


def test_colours_depth_and_normals_of_a_ball() -> None:
    stage = stage_of(ToyField(radius=0.3, color=(0.8, 0.4, 0.2)))
    cameras = around(4, SIZE)
    drawing = draw(stage, cameras, normals=True)
    assert drawing.color.shape == drawing.depth.shape == (4, SIZE, SIZE, 3)
    assert np.abs(drawing.color[:, MIDDLE, MIDDLE].astype(int) - [204, 102, 51]).max() <= 2
    for pictures in (drawing.color, drawing.depth, drawing.normal):
        assert pictures is not None
        assert (pictures[:, 0, 0] == 255).all()
    # The middle is nearest and darkest; towards the rim it gets lighter.
    row = drawing.depth[0, MIDDLE, MIDDLE : MIDDLE + 6, 0].astype(int)
    assert row[0] < 0.2 * 255
    assert (np.diff(row) >= 0).all()
    assert row[-1] > row[0] + 30
    # What one sees in the middle faces the camera.
    assert drawing.normal is not None
    facing = 255 * (0.5 + 0.5 * torch.nn.functional.normalize(cameras.position, dim=-1)).numpy()
    assert np.abs(drawing.normal[:, MIDDLE, MIDDLE] - facing).max() <= 5


def test_depth_does_not_show_what_the_renderer_counts_for_the_background() -> None:
    alpha = torch.tensor([0.0, 0.6, 1.0, 1.0, 0.7, 0.0]).view(1, 1, 6, 1).expand(1, 4, 6, 1)
    own = torch.tensor([1.2, 1.2, 1.0, 1.4, 1.6, 1.6]).view(1, 1, 6, 1)
    pictures = [_depth(alpha * own + (1 - alpha) * background, alpha) for background in (0.0, 10.0)]
    torch.testing.assert_close(*pictures, atol=1e-4, rtol=0)
    assert pictures[0][0, 0, 2, 0] < pictures[0][0, 0, 3, 0] < 1
    assert pictures[0][0, 0, 0, 0] == 1


def test_an_empty_field_is_white() -> None:
    drawing = draw(stage_of(ToyField(radius=-10.0)), around(2, SIZE), normals=True)
    for pictures in (drawing.color, drawing.depth, drawing.normal):
        assert pictures is not None
        assert (pictures >= 254).all()


@pytest.mark.parametrize("field", [ToyField(color=(math.nan, 0.5, math.inf)), ToyField(radius=math.nan)])
def test_a_field_that_is_not_finite_still_gives_pictures(field: ToyField) -> None:
    drawing = draw(stage_of(field), around(2, SIZE), normals=True)
    assert drawing.color.shape == drawing.depth.shape == (2, SIZE, SIZE, 3)


def test_no_normals_from_a_renderer_that_has_none() -> None:
    class Plain(ToyRenderer):
        offers = frozenset({"image", "alpha", "depth"})

    stage = stage_of(ToyField())
    stage.renderer = Plain()
    assert draw(stage, around(1, SIZE), normals=True).normal is None


def test_latents_are_decoded_by_a_prior_of_the_stage() -> None:
    """The closed-form prior's latents are colours, so that decoding shows the ball as it is, from fewer rays."""
    field = ToyField(color=(0.8, 0.4, 0.2), space="latent")
    drawing = draw(stage_of(field, {"novel_views": WithPrior()}), around(2, 64))
    assert drawing.color.shape == drawing.depth.shape == (2, 64, 64, 3)
    assert np.abs(drawing.color[:, 32, 32].astype(int) - [204, 102, 51]).max() <= 6
    assert (drawing.color[:, 0, 0] == 255).all()


@pytest.mark.parametrize("latent", [(2.0,), (2.0, -2.0), (2.0, -2.0, 0.0, 3.0)])
def test_latents_without_a_prior_are_shown_in_false_colours(latent: tuple[float, ...]) -> None:
    drawing = draw(stage_of(ToyField(color=latent, space="latent")), around(1, 64))
    expected = [0.5 + latent[i % len(latent)] / 8 for i in range(3)]
    assert np.abs(drawing.color[0, 32, 32] / 255 - expected).max() < 0.05


def test_a_coarse_field_is_drawn_small_and_enlarged() -> None:
    class Counting(ToyRenderer):
        heights: list[int]

        def forward(self, representation: ToyField, cameras: Cameras, step: Step, outputs: frozenset[str]) -> Views:
            self.heights = [cameras.height, cameras.width]
            return super().forward(representation, cameras, step, outputs)

    stage, renderer = stage_of(ToyField()), Counting()
    stage.renderer = renderer
    assert draw(stage, around(1, 256)).color.shape == (1, 256, 256, 3)
    # 1.5 pixels for each voxel of 0.05: the picture is 1.6 high at the object.
    assert renderer.heights == [48, 48]
    draw(stage, around(1, 40))
    assert renderer.heights == [40, 40]


def test_drawing_leaves_no_trace() -> None:
    stage = stage_of(ToyField())
    before = torch.random.get_rng_state()
    draw(stage, around(1, SIZE), normals=True)
    assert all(parameter.grad is None for parameter in stage.representation.parameters())
    assert torch.equal(torch.random.get_rng_state(), before)
