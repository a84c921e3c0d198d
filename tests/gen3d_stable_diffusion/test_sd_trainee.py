"""The loss that a small text prior is trained by."""

import json
import math
from pathlib import Path

import pytest
import torch

from gen3d.cameras import Cameras
from gen3d.errors import BadInput
from gen3d_stable_diffusion.networks import load, view_features
from gen3d_stable_diffusion.trainee import Trainee

SIZE = 16
AZIMUTHS = (0.0, math.pi / 2, math.pi, -1.6)


def _trainee(**keys: object) -> Trainee:
    trainee = Trainee(size=SIZE, channels=(32, 32), words=24, **keys)
    trainee.read(["red", "blue", "chair", "tree"])
    return trainee


def _batch(count: int) -> tuple[Cameras, torch.Tensor, list[str]]:
    rng = torch.Generator().manual_seed(0)
    cameras = Cameras.orbit(torch.tensor(AZIMUTHS)[torch.arange(count) % 4], 0.2, 1.5, 0.857, SIZE)
    return cameras, torch.rand(count, SIZE, SIZE, 3, generator=rng), ["red chair", "blue tree"] * (count // 2)


def test_the_loss_is_of_clean_latents_weighted_by_noise() -> None:
    """With a network that says zero, the loss is the weighted mean square of the clean latents."""
    trainee, count = _trainee(), 64
    torch.nn.init.zeros_(trainee.networks.unet.conv_out.weight)
    torch.nn.init.zeros_(trainee.networks.unet.conv_out.bias)
    batch = _batch(count)
    loss = trainee(*batch, torch.Generator().manual_seed(1))
    rng = torch.Generator().manual_seed(1)
    torch.randn(count, 48, 4, 4, generator=rng)
    t = (1000 * torch.rand(count, generator=rng).sqrt()).long()
    weight = (1 / (1 - trainee.schedule.alpha_bar[t])).clamp(max=5)
    torch.testing.assert_close(loss, (weight * (batch[1] * 2 - 1).square().mean(dim=(1, 2, 3))).mean())


def test_texts_and_cameras_are_dropped_as_often_as_said() -> None:
    count, trainee, seen, texts = 4000, _trainee(drop=0.05), [], []

    def look(*rows: torch.Tensor) -> torch.Tensor:
        seen.append(rows)
        return torch.zeros_like(rows[0])

    def hear(said: list[str]) -> torch.Tensor:
        texts.extend(said)
        return torch.zeros(len(said), 16, 32)

    trainee.networks.forward, trainee.text.forward = look, hear
    cameras, images, captions = _batch(4)
    rows = torch.arange(count) % 4
    trainee(cameras[rows], images[rows], [captions[i] for i in rows], torch.Generator().manual_seed(0))
    view = seen[0][3]
    no_view = ~view.any(dim=1)
    torch.testing.assert_close(view[~no_view], view_features(cameras[rows])[~no_view])
    no_text = torch.tensor([text == "" for text in texts])
    for share, expected in ((no_text, 0.10), (no_view, 0.10), (no_text & no_view, 0.05)):
        assert abs(float(share.float().mean()) - expected) < 0.015
    wanted = ["red chair, front view", "blue tree, side view", "red chair, back view", "blue tree, side view"]
    for i in range(4):
        said = {text for text, row in zip(texts, rows.tolist(), strict=True) if row == i}
        assert said == {"", captions[i], wanted[i]}
    worded = [text for text in texts if text.endswith("view")]
    assert abs(len(worded) / count - 0.5 * 0.9) < 0.03


def test_every_parameter_is_in_one_group_and_learns() -> None:
    trainee = _trainee(drop=0)
    listed = [p for group in trainee.param_groups().values() for p in group]
    assert {id(p) for p in listed} == {id(p) for p in trainee.parameters()}
    assert len(listed) == len(list(trainee.parameters()))
    trainee(*_batch(8), torch.Generator().manual_seed(0)).backward()
    silent = [name for name, p in trainee.named_parameters() if p.grad is None or not p.grad.any()]
    assert all(".to_k." in name or ".to_q." in name or "k_proj" in name for name in silent), silent


def test_initial_weights_come_from_the_seed_alone() -> None:
    state = torch.get_rng_state()
    one, same, other = _trainee(seed=1), _trainee(seed=1), _trainee(seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in one.named_parameters():
        assert torch.equal(value, dict(same.named_parameters())[name]), name
    assert not torch.equal(one.networks.unet.conv_in.weight, other.networks.unet.conv_in.weight)


def test_text_and_camera_steer_what_is_made() -> None:
    trainee = _trainee()
    cameras, _, _ = _batch(4)
    noisy, t = torch.zeros(2, 48, 4, 4), torch.tensor([500, 500])
    with torch.no_grad():
        chair, tree = trainee.networks(noisy, t, trainee.text(["chair", "tree"]), view_features(cameras[:2]) * 0)
        front, side = trainee.networks(noisy, t, trainee.text(["chair", "chair"]), view_features(cameras[:2]))
    assert (chair - tree).abs().max() > 1e-4
    assert (front - side).abs().max() > 1e-4


def test_weights_come_back_from_their_folder(tmp_path: Path) -> None:
    trainee = _trainee()
    trainee.save(tmp_path / "mine", trained_steps=3)
    trainee.save(tmp_path / "mine", trained_steps=4)
    networks = load(tmp_path / "mine")
    assert networks.diffusion == trainee.networks.diffusion
    assert networks.picture_size == SIZE
    ours = trainee.networks.state_dict()
    assert all(torch.equal(ours[name].half().float(), value) for name, value in networks.state_dict().items())
    assert json.loads((tmp_path / "mine" / "model_index.json").read_text())["trained_steps"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_too_many_words_are_said() -> None:
    with pytest.raises(BadInput, match="33 words and marks, and there is room for 24"):
        _trainee().read([f"word{chr(97 + i)}" for i in range(25)])
