"""The input picture as a guidance: values, gradients, through a decoder, and what it asks of a recipe."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from gen3d.errors import BadInput, Unsupported
from gen3d.guidance import Guidance
from gen3d.part import Stage, Step
from gen3d.picture import Picture
from gen3d.testing import GaussianPrior, ToyField, check_guidance, toy_cameras, toy_stage
from gen3d.testing.toys import ToyInputs
from gen3d.views import Space, Views
from gen3d_reference.reference_view import ReferenceView

STEP = Step(0, 1)


class WithPrior(Guidance):
    """Stands for a `distill` of the same recipe: all that is asked of it is its prior."""

    def __init__(self, prior: GaussianPrior) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, step: Step, *views: Views) -> None:
        raise NotImplementedError


class Autoencoded(GaussianPrior):
    """A prior with a real, tiny autoencoder: four latent channels at half the picture's size."""

    def __init__(self) -> None:
        super().__init__(0.0, 1.0)
        torch.manual_seed(0)
        blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
        vae = AutoencoderKL(**blocks, block_out_channels=[8, 8], norm_num_groups=4, latent_channels=4, sample_size=8)
        self.vae = vae.requires_grad_(requires_grad=False).eval()

    def decode(self, latents: Tensor) -> Tensor:
        return 0.5 * self.vae.decode(latents / self.vae.config.scaling_factor).sample.permute(0, 2, 3, 1) + 0.5


def pictured(target: Tensor, *, space: Space = "rgb", channels: int = 3, prior: GaussianPrior | None = None) -> Stage:
    """A stage whose input picture is `target`, opaque."""
    stage = toy_stage({"other": WithPrior(prior)} if prior else {}, space=space)
    stage.representation = ToyField(color=(0.5,) * channels, space=space)
    stage.inputs = ToyInputs()
    stage.inputs._picture = Picture(target, torch.ones_like(target[..., :1]))
    return stage


def views_of(image: Tensor, space: Space = "rgb", alpha: Tensor | None = None) -> Views:
    flat = torch.ones_like(image[..., :1]) if alpha is None else alpha
    return Views(toy_cameras(1, image.shape[1]), image, space, flat, flat)


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(Path(__file__).parents[1] / "golden" / "sjc_zero123" / "losses.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files if key.startswith("rec_view")}


@pytest.mark.parametrize("space", ["rgb", "latent"])
@pytest.mark.parametrize("row", [0, 1])
def test_value_and_gradient_are_zero_1_to_3s(row: int, space: Space, golden: dict[str, Tensor]) -> None:
    """At weight 10,000; the published decoder stands for an identity, its pictures run from -1 to 1."""
    guidance = ReferenceView()
    guidance.bind(pictured(golden["rec_view_target"], space=space, prior=GaussianPrior(0.0, 1.0)))
    rgb = golden["rec_view_rgb"][row][None].double().requires_grad_()
    loss = 1e4 * guidance(STEP, views_of((rgb.permute(0, 2, 3, 1) + 1) / 2, space)).loss
    assert loss.item() == pytest.approx(golden["rec_view_loss"][row].item(), rel=1e-6)
    loss.backward()
    torch.testing.assert_close(rgb.grad[0].float(), golden["rec_view_grad"][row], rtol=1e-5, atol=1e-5)


def test_latents_are_decoded_with_their_gradient() -> None:
    """Through a real autoencoder, at the size that it decodes to."""
    prior, guidance = Autoencoded(), ReferenceView()
    target = torch.rand(16, 16, 3, generator=torch.Generator().manual_seed(0))
    stage = pictured(target, space="latent", channels=4, prior=prior)
    guidance.bind(stage)
    latents = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    signal = guidance(STEP, views_of(latents.permute(0, 2, 3, 1), "latent"))
    decoded = prior.decode(latents)
    assert decoded.shape == (1, 8, 8, 3)
    expected = (2 * decoded - 2 * stage.inputs.picture.resized(8).image).square().mean()
    torch.testing.assert_close(signal.loss, expected)
    (wanted,) = torch.autograd.grad(expected, latents)
    (got,) = torch.autograd.grad(signal.loss, latents)
    assert got.abs().amin() > 0
    torch.testing.assert_close(got, wanted)
    assert not [p for p in prior.parameters() if p.grad is not None]


def test_mask_term_by_hand() -> None:
    """Half opaque everywhere against a picture that is half covered."""
    guidance = ReferenceView(mask_weight=3.0)
    stage = pictured(torch.ones(4, 4, 3))
    covered = torch.zeros(4, 4, 1)
    covered[:, 2:] = 1
    stage.inputs._picture = Picture(torch.ones(4, 4, 3), covered)
    guidance.bind(stage)
    alpha = torch.full((1, 4, 4, 1), 0.25, requires_grad=True)
    signal = guidance(STEP, views_of(torch.ones(1, 4, 4, 3), alpha=alpha))
    assert signal.loss.item() == pytest.approx(3 * (0.25**2 + 0.75**2) / 2)
    assert signal.log["mask"].item() == pytest.approx((0.25**2 + 0.75**2) / 2)
    assert signal.log["color"].item() == 0
    signal.loss.backward()
    assert alpha.grad[0, 0, :, 0].tolist() == pytest.approx([3 * 0.5 / 16] * 2 + [-3 * 1.5 / 16] * 2)


def test_the_mask_is_not_published_and_off() -> None:
    guidance = ReferenceView()
    guidance.bind(pictured(torch.ones(4, 4, 3)))
    alpha = torch.zeros(1, 4, 4, 1, requires_grad=True)
    signal = guidance(STEP, views_of(torch.rand(1, 4, 4, 3, requires_grad=True), alpha=alpha))
    assert torch.equal(torch.autograd.grad(signal.loss, alpha)[0], torch.zeros_like(alpha))


def test_the_view_is_the_pictures_at_the_size_of_the_random_ones() -> None:
    one, two = ReferenceView(), ReferenceView()
    stage = toy_stage({"one": one, "two": two}, size=16)
    for size in (8, 4, 8):
        (first,), (second,) = (guidance.cameras(STEP, toy_cameras(3, size)) for guidance in (one, two))
        assert first is second  # drawn once
        assert (len(first), first.height, first.width) == (1, size, size)
        assert torch.equal(first.c2w, stage.reference.c2w)


def test_the_view_has_the_size_that_the_recipe_says() -> None:
    guidance = ReferenceView(size=12)
    toy_stage({"input_view": guidance})
    (camera,) = guidance.cameras(STEP, toy_cameras(2, 8))
    assert (camera.height, camera.width) == (12, 12)
    assert guidance.cameras(STEP, toy_cameras(1, 4))[0] is camera


@pytest.mark.parametrize("space", ["rgb", "latent"])
def test_conformance(space: Space) -> None:
    guidance = ReferenceView(mask_weight=1.0)
    stage = toy_stage({"other": WithPrior(GaussianPrior(0.0, 1.0)), "input_view": guidance}, space=space)
    check_guidance(guidance, stage=stage)


def test_without_a_picture_the_recipe_is_refused() -> None:
    stage = replace(toy_stage({}), reference=None)
    with pytest.raises(BadInput, match="needs a picture"):
        ReferenceView().bind(stage)


def test_latents_without_a_prior_are_refused() -> None:
    with pytest.raises(Unsupported, match="no guidance has a prior"):
        ReferenceView().bind(toy_stage({}, space="latent"))
