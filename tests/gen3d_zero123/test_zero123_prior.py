"""The prior on the published classes at tiny size."""

import math
from pathlib import Path

import pytest
import torch

from gen3d.cameras import Cameras
from gen3d.errors import BadInput, Unsupported
from gen3d.testing import toy_stage
from gen3d_zero123.pose import relative_pose
from gen3d_zero123.prior import Zero123
from gen3d_zero123.trainee import Trainee
from tiny_zero123 import SIZE, write_tiny_zero123

BOTH = ("conditional", "unconditional")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_zero123(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture
def prior(folder: Path) -> Zero123:
    prior = Zero123(weights=str(folder))
    prior.load()
    return prior


def _draw(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3))


SOURCE = (_draw(SIZE, SIZE, 3), Cameras.orbit(0.0, math.radians(15), 1.4, 0.857, SIZE))
VIEWS = Cameras.orbit(torch.tensor([0.4, 2.0, -1.0]), torch.tensor([0.1, -0.3, 0.8]), 1.5, 0.857, SIZE)
NOISY, T = _draw(3, 4, 4, 4) * 2 - 1, torch.tensor([10, 500, 960])


def test_prediction_is_the_published_formula(prior: Zero123) -> None:
    nets = prior.networks
    picture = SOURCE[0].permute(2, 0, 1)[None] * 2 - 1
    with torch.no_grad():
        mode = nets.codec.vae.encode(picture).latent_dist.mode()  # not scaled
        token = nets.encoder(picture)[0, 0]
        pose = relative_pose(VIEWS, SOURCE[1])
        projected = torch.cat([token.expand(3, -1), pose], dim=1) @ nets.projection.weight.T + nets.projection.bias
        full = torch.cat([NOISY, mode.expand(3, -1, -1, -1)], dim=1)
        empty = torch.cat([NOISY, torch.zeros_like(NOISY)], dim=1)
        wanted = {
            "conditional": nets.unet(full, T, projected[:, None]).sample,
            "unconditional": nets.unet(empty, T, torch.zeros_like(projected[:, None])).sample,
        }
    told = prior.predict(NOISY, T, prior.condition(VIEWS, [SOURCE]), BOTH)
    for name in BOTH:
        torch.testing.assert_close(told[name], wanted[name])


def test_all_branches_are_one_call_unconditional_first(prior: Zero123) -> None:
    batches = []
    prior.networks.unet.register_forward_pre_hook(lambda _, args: batches.append(args[0]))
    prior.predict(NOISY, T, prior.condition(VIEWS, [SOURCE]), BOTH)
    (batch,) = batches
    assert len(batch) == 6
    assert not batch[:3, 4:].any()
    assert batch[3:, 4:].abs().amin(dim=(1, 2, 3)).gt(0).all()


def test_a_branch_alone_is_the_same(prior: Zero123) -> None:
    condition = prior.condition(VIEWS, [SOURCE])
    told = prior.predict(NOISY, T, condition, BOTH)
    alone = prior.predict(NOISY, T, condition, ("conditional",))
    assert alone.keys() == {"conditional"}
    torch.testing.assert_close(alone["conditional"], told["conditional"])
    part = prior.predict(NOISY[1:], T[1:], condition[1:], BOTH)
    torch.testing.assert_close(part["conditional"], told["conditional"][1:])


def test_the_trained_null_is_the_projected_zero_token(folder: Path, prior: Zero123) -> None:
    trained = Zero123(weights=str(folder), unconditional="trained")
    trained.load()
    condition = trained.condition(VIEWS, [SOURCE])
    nets = trained.networks
    pose = relative_pose(VIEWS, SOURCE[1])
    torch.testing.assert_close(
        condition.tensors["null"][:, 0], pose @ nets.projection.weight[:, -4:].T + nets.projection.bias
    )
    plain = prior.predict(NOISY, T, prior.condition(VIEWS, [SOURCE]), BOTH)
    told = trained.predict(NOISY, T, condition, BOTH)
    torch.testing.assert_close(told["conditional"], plain["conditional"])
    assert (told["unconditional"] - plain["unconditional"]).abs().max() > 1e-6


def test_one_source_for_each_view(prior: Zero123) -> None:
    other = (1 - SOURCE[0], Cameras.orbit(1.0, 0.0, 1.6, 0.857, SIZE))
    mixed = prior.condition(VIEWS, [SOURCE, other, SOURCE])
    for i, source in enumerate([SOURCE, other, SOURCE]):
        alone = prior.condition(VIEWS[i], [source])
        for name, rows in mixed.tensors.items():
            torch.testing.assert_close(rows[i : i + 1], alone.tensors[name])


def test_encoding_is_differentiable_scaled_and_shrinks_smoothly(prior: Zero123) -> None:
    images = _draw(1, 2 * SIZE, 2 * SIZE, 3).requires_grad_()
    latents = prior.encode(images)
    assert latents.shape == (1, 4, 4, 4)
    (gradient,) = torch.autograd.grad(latents.square().sum(), images)
    assert gradient.isfinite().all()
    assert gradient.abs().amin(dim=-1).gt(0).float().mean() > 0.99  # antialiased: every pixel counts
    small = _draw(1, SIZE, SIZE, 3)
    mode = prior.networks.codec.encode(small.permute(0, 3, 1, 2) * 2 - 1)
    torch.testing.assert_close(prior.encode(small), 0.18215 * mode)
    decoded = prior.decode(latents)
    assert decoded.shape == (1, SIZE, SIZE, 3)
    torch.testing.assert_close(decoded, prior.networks.codec.decode(latents / 0.18215).permute(0, 2, 3, 1) / 2 + 0.5)


def test_nothing_frozen_is_trained_or_checkpointed(prior: Zero123) -> None:
    assert list(prior.parameters()) == []
    assert prior.state_dict() == {}
    assert prior.trained_state() == {}
    assert not any(p.requires_grad for p in prior.networks.parameters())


def test_bound_to_a_run_it_sees_the_run_s_picture(folder: Path, prior: Zero123) -> None:
    one, other, stage = Zero123(weights=str(folder)), Zero123(weights=str(folder)), toy_stage({}, size=48)
    one.bind(stage)
    other.bind(stage)
    assert one.networks is other.networks
    image = stage.inputs.picture.resized(SIZE).image
    told = one.condition(VIEWS)
    for name, rows in prior.condition(VIEWS, [(image, stage.reference)]).tensors.items():
        torch.testing.assert_close(told.tensors[name], rows)


def test_without_a_picture_or_a_known_branch(prior: Zero123) -> None:
    with pytest.raises(BadInput, match=r"inputs\.image"):
        prior.condition(VIEWS)
    with pytest.raises(Unsupported, match="negative"):
        prior.predict(NOISY, T, prior.condition(VIEWS, [SOURCE]), ("negative",))


def test_a_clean_predicting_network_answers_with_noise(tmp_path: Path) -> None:
    """Whatever the network predicts, the prior says epsilon: the clean latents that it implies are the network's."""
    Trainee(size=16, channels=(32, 32)).save(tmp_path / "mine")
    prior = Zero123(weights=str(tmp_path / "mine"))
    prior.load()
    source = (_draw(16, 16, 3), SOURCE[1])
    condition = prior.condition(VIEWS, [source])
    noisy = _draw(3, 48, 4, 4)
    told = prior.predict(noisy, T, condition, BOTH)
    rows = condition.tensors
    with torch.no_grad():
        clean = prior.networks(noisy, T, rows["latent"], rows["context"], rows["pose"])
    torch.testing.assert_close(prior.schedule.to_clean(told["conditional"], noisy, T), clean, atol=2e-4, rtol=1e-4)
