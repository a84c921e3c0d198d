"""A picture that steers the prompt: learnt words, and what is made of them."""

from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from gen3d.cameras import Cameras
from gen3d.diffusion import classifier_free, perp_neg
from gen3d.errors import BadInput, Degenerate, Unavailable
from gen3d.inputs import Inputs
from gen3d.part import Stage, Step
from gen3d.schedule import Schedule
from gen3d.testing import toy_stage
from gen3d_distill.distill import Distill
from gen3d_distill.sds import SDS
from gen3d_stable_diffusion import inversion
from gen3d_stable_diffusion.inversion import denoising_loss, random_crops, random_words
from gen3d_stable_diffusion.prior import StableDiffusion
from gen3d_stable_diffusion.style import Style, on_white
from gen3d_stable_diffusion.text import learnt
from gen3d_stable_diffusion.texts import Texts
from gen3d_stable_diffusion.trainee import Trainee
from tiny_stable_diffusion import SIZE, WIDTH, write_tiny_stable_diffusion

STEP = Step(0, 2)
VIEWS = Cameras.orbit(torch.tensor([0.2, 1.4, -2.9]), torch.tensor([0.1, 0.2, 0.3]), 1.5, 0.857, SIZE)
BOTH = ("unconditional", "conditional")
QUICK = {"wording": "{prompt} {style}", "steps": 3, "batch": 2, "lr": 0.05}


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


NOISY, T = torch.rand(3, 4, 4, 4, generator=_rng(3)) * 2 - 1, torch.tensor([10, 500, 960])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_stable_diffusion(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Yellow waves on blue, wider than high."""
    image = Image.new("RGB", (40, 24), (20, 40, 160))
    for row in range(0, 24, 6):
        ImageDraw.Draw(image).line([(0, row), (20, row + 4), (40, row)], fill=(250, 220, 40), width=2)
    path = tmp_path_factory.mktemp("pictures") / "waves.png"
    image.save(path)
    return path


def _stage(picture: Path | None, seed: int = 0) -> Stage:
    stage = toy_stage({})
    stage.seed, stage.inputs = seed, Inputs(prompt="fox", style=None if picture is None else str(picture))
    return stage


def _bound(folder: Path, stage: Stage, style: Style | None = None, **keys: object) -> StableDiffusion:
    prior = StableDiffusion(weights=str(folder), style=style or Style(**QUICK), **keys)
    prior.bind(stage)
    return prior


@pytest.fixture(scope="module")
def prior(folder: Path, picture: Path) -> StableDiffusion:
    prior = _bound(folder, _stage(picture), Style(0.3, **QUICK))
    prior.at(STEP)
    return prior


def _unet(prior: StableDiffusion, texts: list[str]) -> torch.Tensor:
    """What the network says of texts, the learnt words among them."""
    with torch.no_grad():
        return prior.networks.unet(NOISY, T, prior.style.texts(texts)).sample


PLAIN = ["fox, front view", "fox, side view", "fox, back view"]
STYLED = [text.replace("fox", "fox <word-0> <word-1>") for text in PLAIN]


def test_guidance_is_magic3d_s_formula_in_every_row(prior: StableDiffusion) -> None:
    w_text, w_joint = 7.0, 3.0  # a scale of 10, of which 0.3 is of both
    told = prior.predict(NOISY, T, prior.condition(VIEWS), BOTH)
    guided = classifier_free(told["unconditional"], told["conditional"], w_text + w_joint)
    null, text, joint = (_unet(prior, texts) for texts in ([""] * 3, PLAIN, STYLED))
    wanted = null + w_text * (text - null) + w_joint * (joint - null)
    torch.testing.assert_close(guided, wanted, atol=1e-4, rtol=1e-4)
    assert (joint - text).abs().amax(dim=(1, 2, 3)).min() > 1e-4
    for i in range(3):
        alone = prior.predict(NOISY[i : i + 1], T[i : i + 1], prior.condition(VIEWS[i : i + 1]), BOTH)
        torch.testing.assert_close(alone["conditional"][0], told["conditional"][i])


def test_all_rows_are_one_call_and_only_the_conditional_branch_has_one_more(prior: StableDiffusion) -> None:
    rows = []
    hook = prior.networks.unet.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    condition = prior.condition(VIEWS)
    assert set(prior.predict(NOISY, T, condition, BOTH)) == set(BOTH)
    assert set(prior.predict(NOISY, T, condition, ("unconditional",))) == {"unconditional"}
    hook.remove()
    assert rows == [9, 3]


def test_perp_neg_s_positive_direction_is_steered_and_its_negatives_are_not(folder: Path, picture: Path) -> None:
    prior = _bound(folder, _stage(picture), Style(0.5, **QUICK), view_prompts="perp_neg")
    plain = StableDiffusion(weights=str(folder), view_prompts="perp_neg")
    plain.bind(_stage(picture))
    prior.at(STEP)
    names = (*BOTH, "perp_neg_0", "perp_neg_1")
    condition = prior.condition(VIEWS)
    told, before = prior.predict(NOISY, T, condition, names), plain.predict(NOISY, T, plain.condition(VIEWS), names)
    for name in ("unconditional", "perp_neg_0", "perp_neg_1"):
        torch.testing.assert_close(told[name], before[name])
    texts = condition.tensors["joint"]
    with torch.no_grad():
        joint = prior.networks.unet(NOISY, T, texts).sample
    torch.testing.assert_close(told["conditional"], (before["conditional"] + joint) / 2)
    weights = prior.perp_neg_weights(condition)
    guided = perp_neg(told[names[0]], told[names[1]], [told[n] for n in names[2:]], weights, 20.0)
    assert guided.isfinite().all()


def test_without_a_share_nothing_differs_and_nothing_is_learnt(folder: Path, picture: Path) -> None:
    plain = StableDiffusion(weights=str(folder))
    plain.bind(_stage(None))
    none = _bound(folder, _stage(None), Style(0))
    later = _bound(folder, _stage(picture), Style(Schedule.of({0: 0, 1: 0.5}), **QUICK))
    wanted = plain.predict(NOISY, T, plain.condition(VIEWS), BOTH)
    for prior in (none, later):
        prior.at(STEP)
        told = prior.predict(NOISY, T, prior.condition(VIEWS), BOTH)
        assert all(torch.equal(told[name], wanted[name]) for name in BOTH)
    assert none.trained_state() == {}
    later.at(Step(1, 2))
    told = later.predict(NOISY, T, later.condition(VIEWS), BOTH)
    assert not torch.equal(told["conditional"], wanted["conditional"])


def test_sds_follows_the_formula_and_an_adapter_starts_at_the_plain_prompt(folder: Path, picture: Path) -> None:
    guidance = Distill(StableDiffusion(weights=str(folder), style=Style(0.25, **QUICK)), SDS(8.0, "one"))
    stage = _stage(picture)
    guidance.name = "guidance.novel"
    guidance.bind(stage)
    guidance.at(STEP)
    prior = guidance.prior
    condition, noise = prior.condition(VIEWS), torch.randn(NOISY.shape, generator=_rng(5))
    residual = guidance.objective.residual(prior, NOISY, T, condition, noise, STEP).gradient
    noisy = prior.schedule.add_noise(NOISY, noise, T)
    with torch.no_grad():
        null, text, joint = (
            prior.networks.unet(noisy, T, prior.style.texts(x)).sample for x in ([""] * 3, PLAIN, STYLED)
        )
    torch.testing.assert_close(residual, null + 6 * (text - null) + 2 * (joint - null) - noise, atol=1e-4, rtol=1e-4)
    told = prior.predict(noisy, T, condition, ("conditional", "adapter"), prior.adapter(2, _rng()))
    torch.testing.assert_close(told["adapter"], _plain_prompt(prior, noisy))
    torch.testing.assert_close(told["conditional"], 0.75 * text + 0.25 * joint)


def _plain_prompt(prior: StableDiffusion, noisy: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return prior.networks.unet(noisy, T, prior.style.texts(["fox"] * 3)).sample


def test_learnt_words_denoise_the_picture_better_than_any_random_ones(folder: Path, picture: Path) -> None:
    prior = _bound(folder, _stage(picture), Style(wording="{prompt} {style}", steps=50, batch=4, lr=0.1))
    prior.at(STEP)
    encoder, crops = prior.style.texts.encoder(), random_crops(prior.style._picture, 32, SIZE, _rng(8))

    def loss(words: torch.Tensor) -> float:
        encoder.words = words
        with torch.no_grad():
            return denoising_loss(prior.networks, crops, encoder(["<word-0> <word-1>"]), _rng(9)).item()

    random = [loss(random_words(encoder, 2, _rng(seed))) for seed in range(8)]
    assert loss(prior.style.words) < min(random) - torch.tensor(random).std().item()


def test_learning_leaves_the_networks_as_they_were_and_keeps_none(folder: Path, picture: Path) -> None:
    prior = _bound(folder, _stage(picture))
    before = {name: value.clone() for name, value in prior.networks.state_dict().items()}
    state = torch.get_rng_state()
    prior.at(STEP)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in prior.networks.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in prior.networks.parameters())
    assert list(prior.parameters()) == []
    assert not any(isinstance(value, torch.nn.Module) for value in vars(prior.style.texts).values())
    assert not prior.style.words.requires_grad


def test_the_seed_decides_the_words_and_stages_share_them(
    folder: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage, words = _stage(picture), []
    for shared in (stage, stage, _stage(picture), _stage(picture, 1)):
        capsys.readouterr()
        prior = _bound(folder, shared)
        prior.at(STEP)
        words.append((prior.style.words, capsys.readouterr().out))
    first, again, anew, other = words
    assert torch.equal(first[0], anew[0])
    assert torch.equal(first[0], again[0])
    assert (first[0] - other[0]).abs().min() > 0
    assert "waves.png  3/3  loss" in first[1].replace("\n", "")
    assert again[1] == ""


def test_a_checkpoint_brings_the_words_and_then_none_are_learnt(
    folder: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prior = _bound(folder, _stage(picture))
    words = torch.randn(2, WIDTH, generator=_rng())
    assert prior.trained_state()["style.words"].shape == words.shape
    prior.load_trained_state({"style.words": words})
    prior.at(STEP)
    assert capsys.readouterr().out == ""
    assert torch.equal(prior.trained_state()["style.words"], words)
    encoder = Texts(folder, torch.device("cpu"), words).encoder()
    torch.testing.assert_close(prior.style.texts(["fox <word-1>"]), encoder(["fox <word-1>"]))


def test_learnt_words_stand_where_the_text_has_them(folder: Path) -> None:
    """Words with the embeddings of known letters are those letters."""
    texts = Texts(folder, torch.device("cpu"))
    encoder = texts.encoder()
    letters = [texts.tokenizer(letter, add_special_tokens=False)["input_ids"][0] for letter in "qz"]
    twin = Texts(folder, torch.device("cpu"), encoder.embeddings[letters].clone())
    assert " ".join(learnt(2)) == "<word-0> <word-1>"
    torch.testing.assert_close(twin(["a <word-1> fox <word-0>, b", "fox"]), texts(["a z fox q, b", "fox"]))
    assert twin.left_out("x" * 18 + " <word-0>") == "<word-0>"


def test_a_network_that_sees_cameras_learns_without_one(tmp_path: Path, picture: Path) -> None:
    trainee = Trainee(size=16, channels=(32, 32), words=16)
    trainee.read(["fox"])
    trainee.save(tmp_path / "mini")
    prior, seen = _bound(tmp_path / "mini", _stage(picture)), []
    prior.networks.unet.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append((args[2], kwargs["class_labels"])), with_kwargs=True
    )
    prior.at(STEP)
    assert len(seen) == QUICK["steps"]
    assert not any(view.any() for _, view in seen)
    texts = [text.detach() for text, _ in seen]
    assert not torch.equal(texts[0], texts[-1])
    prior.predict(torch.zeros(3, 48, 4, 4), T, prior.condition(VIEWS), BOTH)
    assert seen[-1][1][3:].any(dim=1).all()  # conditional and joint are told the view


def test_crops_are_parts_of_the_picture_mirrored_or_not() -> None:
    across = torch.arange(40.0).expand(24, 40)
    picture = torch.stack([across, torch.arange(24.0)[:, None].expand(24, 40), torch.ones(24, 40)], dim=-1)
    crops = random_crops(picture, 64, 16, _rng())
    assert crops.shape == (64, 16, 16, 3)
    slope = (crops[:, 8, 12, 0] - crops[:, 8, 4, 0]) / 8
    sides = slope.abs() * 16
    assert sides.min() >= 24 * inversion.SMALLEST - 1
    assert sides.max() <= 24.5
    assert 20 < int((slope < 0).sum()) < 44
    assert crops[..., 0].min() < 3
    assert crops[..., 0].max() > 36
    assert ((crops[:, 9, 8, 1] - crops[:, 8, 8, 1]) > 0).all()


def test_transparent_pictures_lie_on_white() -> None:
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 51))
    torch.testing.assert_close(on_white(picture)[0, 0], torch.tensor([1.0, 0.8, 0.8]), atol=1 / 255, rtol=0)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"share": 1.5}, "share is not from 0 to 1"),
        ({"share": Schedule.of({"ramp": {0: 0.5, 10: -1}})}, "share is not"),
        ({"wording": "{prompt}"}, "it holds {prompt} and {style}"),
        ({"words": 0}, "words is 0"),
        ({"lr": 0.0}, "lr is 0"),
    ],
)
def test_impossible_settings_are_refused(keys: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        Style(**keys)
    assert words in str(caught.value)


def test_pictures_and_prompts_that_cannot_be_used_are_said(folder: Path, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("no picture")
    with pytest.raises(BadInput, match=r"inputs.style: .*a picture of a style\n  add inputs.style=picture.png"):
        _bound(folder, _stage(None))
    with pytest.raises(BadInput, match=r"note\.png: this is no picture"):
        _bound(folder, _stage(tmp_path / "note.png"))
    long = _stage(picture)
    long.inputs.prompt = "foxes"
    with pytest.raises(BadInput, match=r"inputs\.prompt: is longer than the 20 tokens .*'view' is left over"):
        _bound(folder, long, Style(wording="{prompt} in {style}", steps=1))


def test_words_that_are_no_numbers_are_said(folder: Path, picture: Path) -> None:
    prior = _bound(folder, _stage(picture))
    with torch.no_grad():
        prior.networks.unet.conv_in.weight.fill_(torch.nan)
    with pytest.raises(Degenerate, match=r"did not stay finite\n  lower style\.lr"):
        prior.at(STEP)


def test_weights_without_a_text_encoder_are_said(tmp_path: Path, picture: Path) -> None:
    folder = write_tiny_stable_diffusion(tmp_path / "tiny")
    (folder / "text_encoder" / "config.json").unlink()
    with pytest.raises(Unavailable, match=r"text_encoder.*is missing"):
        _bound(folder, _stage(picture))
