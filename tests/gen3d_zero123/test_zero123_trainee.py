"""The loss that a small prior is trained by."""

import pytest
import torch

from gen3d.cameras import Cameras
from gen3d_zero123.trainee import Trainee

SIZE = 16


def _pairs(count: int) -> tuple[Cameras, torch.Tensor, Cameras, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    azimuth, elevation = torch.rand(2, count, generator=rng) - 0.5
    sources = Cameras.orbit(azimuth, elevation, 1.5, 0.857, SIZE)
    targets = Cameras.orbit(azimuth + 1, elevation, 1.6, 0.857, SIZE)
    pictures, images = torch.rand(2, count, SIZE, SIZE, 3, generator=rng)
    return sources, pictures, targets, images


def _trainee(**keys: object) -> Trainee:
    return Trainee(size=SIZE, channels=(32, 32), **keys)


def test_the_loss_is_of_clean_latents_weighted_by_noise() -> None:
    """With a network that says zero, the loss is the weighted mean square of the clean latents."""
    trainee, count = _trainee(), 64
    torch.nn.init.zeros_(trainee.networks.unet.conv_out.weight)
    torch.nn.init.zeros_(trainee.networks.unet.conv_out.bias)
    pairs = _pairs(count)
    loss = trainee(*pairs, torch.Generator().manual_seed(1))
    rng = torch.Generator().manual_seed(1)
    torch.randn(count, 48, 4, 4, generator=rng)
    t = (1000 * torch.rand(count, generator=rng).sqrt()).long()
    weight = (1 / (1 - trainee.schedule.alpha_bar[t])).clamp(max=5)
    power = (pairs[3] * 2 - 1).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(loss, (weight * power).mean())


@pytest.mark.parametrize("null", ["zeros", "trained"])
def test_drops_are_as_often_as_said_and_null_is_what_inference_uses(null: str) -> None:
    count, trainee, seen = 4000, _trainee(unconditional=null), []

    def look(*rows: torch.Tensor) -> torch.Tensor:
        seen.append(rows)
        return torch.zeros_like(rows[0])

    trainee.networks.forward = look
    sources, pictures, targets, images = _pairs(4)
    rows = torch.arange(count) % 4
    trainee(sources[rows], pictures[rows], targets[rows], images[rows], torch.Generator().manual_seed(0))
    _, _, latent, context, label = seen[0]
    no_latent = latent.flatten(1).abs().amax(1) == 0
    no_label = label.abs().amax(1) == 0
    wanted = trainee.networks.context(torch.zeros(count, 4, 32), _pose(trainee, sources[rows], targets[rows]))
    empty = wanted if null == "trained" else torch.zeros_like(wanted)
    no_tokens = (context - empty).flatten(1).abs().amax(1) == 0
    assert torch.equal(no_label, no_tokens & no_latent)
    for share, expected in ((no_tokens, 0.10), (no_latent, 0.10), (no_label, 0.05)):
        assert abs(float(share.float().mean()) - expected) < 0.02


def _pose(trainee: Trainee, sources: Cameras, targets: Cameras) -> torch.Tensor:
    from gen3d_zero123.pose import relative_pose

    return relative_pose(targets, sources, trainee.networks.settings.pose)


def test_every_parameter_is_in_one_group_and_learns() -> None:
    trainee = _trainee(drop=0)
    groups = trainee.param_groups()
    listed = [p for group in groups.values() for p in group]
    assert {id(p) for p in listed} == {id(p) for p in trainee.parameters()}
    assert len(listed) == len(list(trainee.parameters()))
    trainee(*_pairs(8), torch.Generator().manual_seed(0)).backward()
    silent = [name for name, p in trainee.named_parameters() if p.grad is None or not p.grad.any()]
    assert all("to_k" in name or "to_q" in name for name in silent), silent


def test_initial_weights_come_from_the_seed_alone() -> None:
    state = torch.get_rng_state()
    one, same, other = _trainee(seed=1), _trainee(seed=1), _trainee(seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.networks.projection.weight, same.networks.projection.weight)
    assert not torch.equal(one.networks.projection.weight, other.networks.projection.weight)


def test_pose_steers_the_view() -> None:
    """The pose reaches the output beside the tokens: with the tokens' pose columns at zero it still matters."""
    trainee = _trainee(epipolar=0)
    nets = trainee.networks.requires_grad_(requires_grad=False)
    nets.projection.weight[:, -5:] = 0
    noisy, latent = torch.zeros(2, 48, 4, 4), torch.zeros(2, 48, 4, 4)
    pose = torch.tensor([[0.0, 0, 1, 0, 1.2], [0.0, 1, 0, 0, 1.2]])
    context = nets.context(torch.zeros(2, 4, 32), pose)
    assert torch.equal(context[0], context[1])
    front, side = nets(noisy, torch.tensor([500, 500]), latent, context, pose)
    assert (front - side).abs().max() > 1e-3
