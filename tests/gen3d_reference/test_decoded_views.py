"""The colour stage: a field of colours learns what the latents of the stage before decode to."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gen3d.errors import Unsupported
from gen3d.part import Stage, Step
from gen3d.renderer import Renderer
from gen3d.schedule import Schedule
from gen3d.testing import GaussianPrior, ToyField, ToyRenderer, check_guidance, toy_cameras, toy_stage
from gen3d_mesh.raster import Raster
from gen3d_reference.decoded_views import DecodedViews
from gen3d_volume.volume import Volume

STEP = Step(0, 1)


class Halved(GaussianPrior):
    """Decodes latents to half of themselves, at twice their size."""

    def decode(self, latents: Tensor) -> Tensor:
        return super().decode(latents.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) / 2)


def color_stage(guidance: DecodedViews, previous: ToyField, current: ToyField | None = None) -> Stage:
    stage = toy_stage({})
    stage = replace(stage, previous=previous, representation=current or ToyField(), guidance={"colors": guidance})
    guidance.name = "guidance.colors"
    guidance.bind(stage)
    return stage


def test_value_is_the_error_to_the_decoded_view() -> None:
    """Latents drawn at half the size decode to that of the view, over the decoded background."""
    guidance, previous = DecodedViews(Halved(0.0, 1.0), size=4), ToyField(color=(1.0, 0.6, 0.2), space="latent")
    stage = color_stage(guidance, previous)
    cameras = toy_cameras(2, 8)
    with torch.no_grad():
        old = ToyRenderer()(previous, cameras.resized(4), STEP, frozenset({"image"}))
        target = guidance.prior.decode(old.image.permute(0, 3, 1, 2))
    views = stage.renderer(stage.representation, cameras, STEP, guidance.needs)
    signal = guidance(STEP, views)
    torch.testing.assert_close(signal.loss, (views.image - target).square().mean())
    (gradient,) = torch.autograd.grad(signal.loss, views.image)
    torch.testing.assert_close(gradient, 2 * (views.image - target) / target.numel())


def test_targets_are_resized_to_the_view_and_kept_in_range() -> None:
    guidance = DecodedViews(GaussianPrior(0.0, 1.0), size=8)
    stage = color_stage(guidance, ToyField(color=(3.0, -1.0, 0.5), space="latent"))
    target, alpha = guidance._target(toy_cameras(1, 5), STEP)
    assert target.shape == (1, 5, 5, 3)
    assert alpha.shape == (1, 5, 5, 1)
    assert 0 <= target.min() < 0.1
    assert 0.9 < target.max() <= 1 + 1e-6
    views = stage.renderer(stage.representation, toy_cameras(1, 5), STEP, guidance.needs)
    assert guidance(STEP, views).loss.isfinite()


def test_mask_term_is_the_error_of_opacities() -> None:
    guidance = DecodedViews(GaussianPrior(0.0, 1.0), size=6, mask_weight=2.0)
    stage = color_stage(guidance, ToyField(radius=0.35, space="latent"), ToyField(radius=0.25))
    cameras = toy_cameras(1, 6)
    old, new = (stage.renderer(f, cameras, STEP, guidance.needs) for f in (stage.previous, stage.representation))
    signal = guidance(STEP, new)
    expected = (new.image - old.image).square().mean() + 2 * (new.alpha - old.alpha).square().mean()
    torch.testing.assert_close(signal.loss, expected)


def test_the_object_before_is_frozen_and_a_copy() -> None:
    guidance, previous = DecodedViews(GaussianPrior(0.0, 1.0), size=6), ToyField(space="latent")
    stage = color_stage(guidance, previous)
    views = stage.renderer(stage.representation, toy_cameras(1, 6), STEP, guidance.needs)
    before = guidance(STEP, views).loss
    before.backward()
    assert previous.color.grad is None
    assert guidance.param_groups() == {}
    assert guidance.trained_state() == {}
    with torch.no_grad():
        previous.color.zero_()
    assert torch.equal(guidance(STEP, views).loss, before)


def test_the_latents_have_a_renderer_of_their_own() -> None:
    """Bound to them, because backgrounds and occupancy belong to what is drawn."""

    class Remembering(ToyRenderer):
        def __init__(self) -> None:
            super().__init__()
            self.bound: list[Stage] = []

        def bind(self, stage: Stage) -> None:
            self.bound.append(stage)

    guidance, previous = DecodedViews(GaussianPrior(0.0, 1.0), size=6), ToyField(space="latent")
    stage = replace(toy_stage({}), previous=previous, renderer=Remembering())
    guidance.bind(stage)
    assert stage.renderer.bound == []
    (own,) = guidance._renderer.bound
    assert own.representation is guidance._previous
    assert list(own.guidance.values()) == [guidance]


def test_colors_are_learnt() -> None:
    guidance = DecodedViews(GaussianPrior(0.0, 1.0), size=6)
    stage = color_stage(guidance, ToyField(color=(0.2, 0.9, 0.4), space="latent"), ToyField(color=(0.5, 0.5, 0.5)))
    field = stage.representation
    optimizer = torch.optim.Adam([field.color], lr=0.05)
    for index in range(30):
        step = Step(index, 30)
        optimizer.zero_grad()
        guidance(step, stage.renderer(field, toy_cameras(1, 6), step, guidance.needs)).loss.backward()
        optimizer.step()
    assert field.color.tolist() == pytest.approx([0.2, 0.9, 0.4], abs=0.05)


def test_conformance() -> None:
    guidance = DecodedViews(GaussianPrior(0.0, 1.0), size=4, mask_weight=1.0)
    stage = color_stage(guidance, ToyField(radius=0.2, color=(0.1, 0.2, 0.9), space="latent"))
    check_guidance(guidance, stage=stage)


@pytest.mark.parametrize("previous", [None, ToyField(space="rgb")])
def test_without_latents_before_it_the_recipe_is_refused(previous: ToyField | None) -> None:
    guidance = DecodedViews(GaussianPrior(0.0, 1.0))
    guidance.name = "guidance.colors"
    with pytest.raises(Unsupported, match=r"guidance\.colors: decoded_views fits colours to the latents"):
        guidance.bind(replace(toy_stage({}), previous=previous))


@pytest.mark.parametrize(
    ("renderer", "cause"),
    [
        (Volume(random_background=0.5), "random_background"),
        (Volume(shading=Schedule.of({0: 0, 10: 0.5})), "shading"),
        (Volume(background="texture"), "its background is learnt"),
        (Raster(), "it draws no fields"),
    ],
)
def test_what_latents_cannot_be_drawn_with_is_refused(renderer: Renderer, cause: str) -> None:
    guidance = DecodedViews(GaussianPrior(0.0, 1.0))
    guidance.name = "guidance.colors"
    stage = replace(toy_stage({}), previous=ToyField(space="latent"), renderer=renderer)
    with pytest.raises(
        Unsupported, match=rf"guidance\.colors: .*must draw the latents .*{cause}(.|\n)*background: white"
    ):
        guidance.bind(stage)
    plain = replace(stage, renderer=Volume())
    guidance.bind(plain)
