"""The prior on the published classes at tiny size."""

import math
from pathlib import Path

import pytest
import torch

from gen3d.cameras import Cameras
from gen3d.diffusion import perp_neg
from gen3d.errors import BadInput, Unsupported
from gen3d.inputs import Inputs
from gen3d.part import Stage
from gen3d.testing import toy_stage
from gen3d_distill.csd import CSD
from gen3d_distill.distill import Distill
from gen3d_distill.nfsd import NFSD
from gen3d_stable_diffusion.prior import StableDiffusion
from gen3d_stable_diffusion.trainee import Trainee
from tiny_stable_diffusion import SIZE, write_tiny_stable_diffusion
from tiny_zero123 import write_tiny_zero123

PROMPT, NEGATIVE = "fox", "ugly"
AZIMUTH = torch.tensor([0.2, 1.4, -2.9])
VIEWS = Cameras.orbit(AZIMUTH, torch.tensor([0.1, 0.2, 0.3]), 1.5, 0.857, SIZE)
WORDED = ("fox, front view", "fox, side view", "fox, back view")
ALL = ("conditional", "unconditional")


def _draw(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3))


NOISY, T = _draw(3, 4, 4, 4) * 2 - 1, torch.tensor([10, 500, 960])


def _stage(prompt: str | None = PROMPT, negative: str = NEGATIVE) -> Stage:
    stage = toy_stage({})
    stage.inputs = Inputs(prompt=prompt, negative_prompt=negative)
    return stage


def _bound(folder: Path, stage: Stage | None = None, **keys: object) -> StableDiffusion:
    prior = StableDiffusion(weights=str(folder), view_text="{prompt}, {view} view", **keys)
    prior.bind(stage or _stage())
    return prior


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_stable_diffusion(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def prior(folder: Path) -> StableDiffusion:
    return _bound(folder)


def _unet(prior: StableDiffusion, texts: list[str]) -> torch.Tensor:
    texts_of, networks = prior._parts()
    with torch.no_grad():
        return networks.unet(NOISY, T, texts_of(texts)).sample


def test_every_branch_is_the_network_s_answer_to_its_text(prior: StableDiffusion) -> None:
    told = prior.predict(NOISY, T, prior.condition(VIEWS), ALL)
    torch.testing.assert_close(told["conditional"], _unet(prior, [*WORDED]))
    torch.testing.assert_close(told["unconditional"], _unet(prior, [NEGATIVE] * 3))
    assert all(not value.requires_grad for value in told.values())


def test_the_unconditional_text_may_be_empty_and_then_there_is_a_negative_one(folder: Path) -> None:
    stage, warnings = _stage(), []
    stage.warn = warnings.append
    prior = _bound(folder, stage, unconditional="empty")
    told = prior.predict(NOISY, T, prior.condition(VIEWS), (*ALL, "negative"))
    assert warnings == []
    torch.testing.assert_close(told["unconditional"], _unet(prior, [""] * 3))
    torch.testing.assert_close(told["negative"], _unet(prior, [NEGATIVE] * 3))
    stage.inputs.negative_prompt = ""
    prior.bind(stage)
    assert "inputs.negative_prompt is empty" in warnings[0]


def test_objectives_with_a_negative_branch_are_told_how_to_get_one() -> None:
    for objective in (NFSD(), CSD(negative=-0.5)):
        with pytest.raises(Unsupported, match=r"has no negative prediction\n  set unconditional: empty in the prior"):
            Distill(StableDiffusion(), objective)
        Distill(StableDiffusion(unconditional="empty"), objective)


def test_all_branches_are_one_call_with_rows_of_a_branch_together(prior: StableDiffusion) -> None:
    batches = []
    hook = prior.networks.unet.register_forward_pre_hook(lambda _, args: batches.append(args))
    prior.predict(NOISY, T, prior.condition(VIEWS), ALL)
    hook.remove()
    ((noisy, t, _),) = batches
    assert torch.equal(noisy, NOISY.repeat(2, 1, 1, 1))
    assert torch.equal(t, T.repeat(2))


def test_velocities_become_noise(tmp_path: Path) -> None:
    prior = _bound(write_tiny_stable_diffusion(tmp_path / "v", prediction="v_prediction"))
    told = prior.predict(NOISY, T, prior.condition(VIEWS), ("conditional",))["conditional"]
    alpha, sigma = prior.schedule.alpha(T), prior.schedule.sigma(T)
    torch.testing.assert_close(told, alpha * _unet(prior, [*WORDED]) + sigma * NOISY)


def test_without_view_words_and_with_a_prefix(folder: Path) -> None:
    prior = _bound(folder, view_prompts="none")
    told = prior.predict(NOISY, T, prior.condition(VIEWS), ("conditional",))["conditional"]
    torch.testing.assert_close(told, _unet(prior, [PROMPT] * 3))
    prefixed = StableDiffusion(weights=str(folder), view_text="{view} of {prompt}")
    prefixed.bind(_stage())
    told = prefixed.predict(NOISY, T, prefixed.condition(VIEWS), ("conditional",))["conditional"]
    torch.testing.assert_close(told, _unet(prior, ["front of fox", "side of fox", "back of fox"]))


def test_interpolated_views_mix_embeddings(folder: Path) -> None:
    prior = _bound(folder, view_prompts="interpolated")
    embed, _ = prior._parts()
    quarter = Cameras.orbit(math.radians(30), 0.0, 1.5, 0.857, SIZE)
    front, side = embed(["fox, front view", "fox, side view"])
    mixed = prior.condition(quarter).tensors["conditional"][0]
    torch.testing.assert_close(mixed, front * 2 / 3 + side / 3)


def _perp_neg(prior: StableDiffusion, rows: slice | torch.Tensor) -> torch.Tensor:
    condition = prior.condition(VIEWS[rows])
    weights = prior.perp_neg_weights(condition)
    names = ("unconditional", "conditional", "perp_neg_0", "perp_neg_1")
    told = prior.predict(NOISY[rows], T[rows], condition, names)
    return perp_neg(told[names[0]], told[names[1]], [told[name] for name in names[2:]], weights, 100.0)


def test_perp_neg_of_a_view_depends_on_no_other_view(folder: Path) -> None:
    """T17: what the published batch of it gets wrong."""
    prior = _bound(folder, view_prompts="perp_neg")
    assert {"perp_neg_0", "perp_neg_1"} <= prior.branches
    together = _perp_neg(prior, slice(None))
    for i in range(3):
        torch.testing.assert_close(_perp_neg(prior, slice(i, i + 1))[0], together[i], atol=1e-4, rtol=1e-4)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(_perp_neg(prior, order), together[order], atol=1e-4, rtol=1e-4)
    told = prior.predict(NOISY, T, prior.condition(VIEWS), ("perp_neg_0", "perp_neg_1"))
    torch.testing.assert_close(told["perp_neg_0"], _unet(prior, [WORDED[0], WORDED[0], WORDED[1]]))
    torch.testing.assert_close(told["perp_neg_1"], _unet(prior, [WORDED[1], WORDED[1], WORDED[0]]))


def test_plain_guidance_has_no_negatives(prior: StableDiffusion) -> None:
    assert prior.perp_neg_weights(prior.condition(VIEWS)) is None
    with pytest.raises(Unsupported, match="perp_neg_0"):
        prior.predict(NOISY, T, prior.condition(VIEWS), ("perp_neg_0",))


def test_a_new_adapter_says_what_the_network_says_of_the_plain_prompt(prior: StableDiffusion) -> None:
    adapter = prior.adapter(4, torch.Generator().manual_seed(0))
    names = ("conditional", "adapter", "adapter_null")
    told = prior.predict(NOISY, T, prior.condition(VIEWS), names, adapter)
    plain = _unet(prior, [PROMPT] * 3)
    torch.testing.assert_close(told["adapter"], plain)
    torch.testing.assert_close(told["adapter_null"], plain)
    torch.testing.assert_close(told["conditional"], _unet(prior, [*WORDED]))


def test_only_an_adapter_is_trained_and_it_sees_the_camera(folder: Path) -> None:
    prior = _bound(folder)
    adapter = prior.adapter(2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for group in adapter.param_groups().values():
            for parameter in group:
                parameter.add_(0.1)
    names = ("conditional", "adapter", "adapter_null")
    told = prior.predict(NOISY, T, prior.condition(VIEWS), names, adapter)
    torch.testing.assert_close(told["conditional"], _unet(prior, [*WORDED]))
    assert (told["adapter"] - told["adapter_null"]).abs().amax(dim=(1, 2, 3)).min() > 1e-4
    told["adapter"].square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for group in adapter.param_groups().values() for p in group)
    assert all(p.grad is None for p in prior.networks.parameters())


def test_prompts_given_as_sources(prior: StableDiffusion) -> None:
    told = prior.predict(NOISY, T, prior.condition(VIEWS, ["cat", "dog", "cow"]), ("conditional",))["conditional"]
    torch.testing.assert_close(told, _unet(prior, ["cat, front view", "dog, side view", "cow, back view"]))
    one, three = prior.condition(VIEWS, ["cat"]), prior.condition(VIEWS, ["cat"] * 3)
    assert all(torch.equal(one.tensors[name], three.tensors[name]) for name in one.tensors)


def test_encoding_is_scaled_and_differentiable(prior: StableDiffusion) -> None:
    images = _draw(1, 2 * SIZE, 2 * SIZE, 3).requires_grad_()
    latents = prior.encode(images)
    assert latents.shape == (1, 4, 4, 4)
    (gradient,) = torch.autograd.grad(latents.square().sum(), images)
    assert gradient.abs().amin(dim=-1).gt(0).float().mean() > 0.99
    small = _draw(1, SIZE, SIZE, 3)
    mode = prior.networks.codec.encode(small.permute(0, 3, 1, 2) * 2 - 1)
    torch.testing.assert_close(prior.encode(small), 0.18215 * mode)
    assert prior.decode(latents).shape == (1, SIZE, SIZE, 3)


def test_networks_and_texts_are_shared_and_nothing_frozen_is_kept(folder: Path) -> None:
    stage = _stage()
    one, other = _bound(folder, stage), _bound(folder, stage, view_prompts="none")
    assert one._parts() == other._parts()
    assert list(one.parameters()) == []
    assert one.trained_state() == {}
    assert not any(p.requires_grad for p in one.networks.parameters())


def test_a_missing_or_too_long_prompt_is_said_before_networks_load(folder: Path) -> None:
    prior, stage = StableDiffusion(weights=str(folder)), _stage(None)
    with pytest.raises(BadInput, match=r"inputs\.prompt.*needs a prompt"):
        prior.bind(stage)
    with pytest.raises(BadInput, match=r"inputs\.prompt: is longer than the 20 tokens .*view"):
        prior.bind(_stage("abcdefghijk"))
    with pytest.raises(BadInput, match=r"inputs\.negative_prompt: is longer"):
        prior.bind(_stage("a", "abcdefghijklmnopqrstuv"))
    bound = _bound(folder)
    with pytest.raises(BadInput, match=r"sources: is longer than .*: 'view' is left over"):
        bound.condition(VIEWS, ["a", "abcdefghi", "b"])
    with pytest.raises(BadInput, match="not loaded"):
        prior.condition(VIEWS)
    with pytest.raises(BadInput, match="prompt is empty"):
        Inputs(prompt="  ")
    with pytest.raises(BadInput, match="view_text"):
        StableDiffusion(view_text="a chair")


def test_another_kind_of_model_is_called_so_before_a_part_of_it_is_missed(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"unet: conv_in has 8 input channels; .*(.|\n)*view-conditioned"):
        _bound(write_tiny_zero123(tmp_path / "zero123"))
    with pytest.raises(BadInput, match=r"unet: conv_in has 9 input channels; .*(.|\n)*inpainting"):
        _bound(write_tiny_stable_diffusion(tmp_path / "inpaint", in_channels=9))


def test_words_outside_the_vocabulary_are_named_once(tmp_path: Path) -> None:
    trainee = Trainee(size=16, channels=(32, 32), words=16)
    trainee.read(["chair", "red"])
    trainee.save(tmp_path / "mini")
    stage, told = _stage("a red dragon chairs"), []
    stage.warn = told.append
    _bound(tmp_path / "mini", stage)
    _bound(tmp_path / "mini", stage, view_prompts="none")
    assert len(told) == 3
    assert "'dragon'" in told[0]
    assert "'chairs'" in told[1]
    assert "did you mean 'chair'?" in told[1]
    assert "negative_prompt" in told[2]


def test_a_network_that_sees_cameras_is_told_them_where_guidance_wants_it(tmp_path: Path) -> None:
    trainee = Trainee(size=16, channels=(32, 32), words=16)
    trainee.read(["fox"])
    trainee.save(tmp_path / "mini")
    prior = _bound(tmp_path / "mini", _stage(negative=""))
    seen = []
    prior.networks.unet.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["class_labels"]), with_kwargs=True
    )
    noisy = _draw(3, 48, 4, 4)
    told = prior.predict(noisy, T, prior.condition(VIEWS), ("unconditional", "conditional"))
    assert not seen[0][:3].any()
    torch.testing.assert_close(seen[0][3:, :3] * 1.5, VIEWS.position)
    torch.testing.assert_close(seen[0][3:, 3], torch.full((3,), 1.5 * math.tan(0.857 / 2)))
    clean = prior.schedule.to_clean(told["conditional"], noisy, T)
    assert clean.isfinite().all()
    assert prior.decode(clean).shape == (3, 16, 16, 3)
