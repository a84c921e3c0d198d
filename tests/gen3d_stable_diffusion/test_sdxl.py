"""SDXL's layout: two text encoders, a pooled text and the picture's size beside the time."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from gen3d.cameras import Cameras
from gen3d.errors import BadInput
from gen3d.inputs import Inputs
from gen3d.part import Step
from gen3d.testing import toy_stage
from gen3d_stable_diffusion.networks import check
from gen3d_stable_diffusion.prior import StableDiffusion
from gen3d_stable_diffusion.style import Style
from gen3d_stable_diffusion.texts import Texts
from tiny_stable_diffusion import POOLED, SIZE, TOKENS, WIDER, WIDTH, write_tiny_sdxl

VIEWS = Cameras.orbit(torch.tensor([0.2, 1.4, -2.9]), torch.tensor([0.1, 0.2, 0.3]), 1.5, 0.857, SIZE)
RNG = torch.Generator().manual_seed(0)
NOISY, T = torch.rand(3, 4, 4, 4, generator=RNG), torch.tensor([10, 500, 960])
BOTH = ("unconditional", "conditional")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_sdxl(tmp_path_factory.mktemp("weights") / "xl")


def _bound(folder: Path, style: Style | None = None, picture: Path | None = None) -> StableDiffusion:
    stage = toy_stage({})
    stage.inputs = Inputs(prompt="fox", style=None if picture is None else str(picture))
    prior = StableDiffusion(weights=str(folder), style=style)
    prior.bind(stage)
    return prior


def _published(folder: Path, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and pooled texts as diffusers' encode_prompt makes them."""
    states = []
    for suffix, kind in (("", CLIPTextModel), ("_2", CLIPTextModelWithProjection)):
        tokenizer = CLIPTokenizer.from_pretrained(folder / f"tokenizer{suffix}")
        encoder = kind.from_pretrained(folder / f"text_encoder{suffix}").eval()
        ids = tokenizer(texts, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt").input_ids
        with torch.no_grad():
            output = encoder(ids, output_hidden_states=True)
        states.append(output.hidden_states[-2])
    return torch.cat(states, dim=-1), output.text_embeds


def test_texts_are_those_of_both_encoders_and_the_pooled_one(folder: Path) -> None:
    embedded = Texts(folder, torch.device("cpu"))(["a fox", "", "fox, side"])
    tokens, pooled = _published(folder, ["a fox", "fox, side"])
    torch.testing.assert_close(embedded[[0, 2], :-1], tokens)
    torch.testing.assert_close(embedded[[0, 2], -1, :POOLED], pooled)
    assert not embedded[:, -1, POOLED:].any()
    assert not embedded[1].any()  # force_zeros_for_empty_prompt
    assert embedded.shape == (3, TOKENS + 1, WIDTH + WIDER)


def test_an_empty_text_is_read_where_the_weights_say_so(folder: Path, tmp_path: Path) -> None:
    own = write_tiny_sdxl(tmp_path / "xl")
    (own / "model_index.json").write_text(json.dumps({"force_zeros_for_empty_prompt": False}))
    torch.testing.assert_close(Texts(own, torch.device("cpu"))([""])[:, :-1], _published(folder, [""])[0])


def test_the_network_is_told_the_pooled_text_and_the_size(folder: Path) -> None:
    prior = _bound(folder)
    told = prior.predict(NOISY, T, prior.condition(VIEWS), BOTH)["conditional"]
    tokens, pooled = _published(folder, ["fox, front view", "fox, side view", "fox, back view"])
    sizes = torch.tensor([[SIZE, SIZE, 0, 0, SIZE, SIZE]]).repeat(3, 1)
    added = {"text_embeds": pooled, "time_ids": sizes}
    with torch.no_grad():
        wanted = prior.networks.unet(NOISY, T, tokens, added_cond_kwargs=added).sample
    torch.testing.assert_close(told, wanted)


def test_latents_have_the_scale_of_the_weights(folder: Path) -> None:
    prior, images = _bound(folder), torch.rand(1, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(2))
    mode = prior.networks.codec.encode(images.permute(0, 3, 1, 2) * 2 - 1)
    torch.testing.assert_close(prior.encode(images), 0.13025 * mode)


def test_an_adapter_starts_at_the_plain_prompt_and_learns(folder: Path) -> None:
    prior = _bound(folder)
    adapter = prior.adapter(2, torch.Generator().manual_seed(0))
    told = prior.predict(NOISY, T, prior.condition(VIEWS), ("conditional", "adapter"), adapter)
    torch.testing.assert_close(
        told["conditional"], prior.predict(NOISY, T, prior.condition(VIEWS), BOTH)["conditional"]
    )
    told["adapter"].square().sum().backward()
    assert all(p.grad is not None for group in adapter.param_groups().values() for p in group)


def test_words_are_learnt_for_both_encoders(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), (20, 40, 200)).save(tmp_path / "blue.png")
    prior = _bound(folder, Style(wording="{prompt} {style}", steps=2, batch=1, lr=0.1), tmp_path / "blue.png")
    prior.at(Step(0, 1))
    assert prior.style.words.shape == (2, WIDTH + WIDER)
    plain = prior.condition(VIEWS).tensors
    assert (plain["joint"] - plain["conditional"]).abs().amax(dim=(0, 1))[[0, WIDTH]].min() > 1e-4
    start = Style(wording="{prompt} {style}", steps=1, batch=1, lr=1e-30)
    other = _bound(folder, start, tmp_path / "blue.png")
    other.at(Step(0, 1))
    assert (other.style.words - prior.style.words).abs().amax(dim=0).min() > 0.01  # every number has been learnt


def test_a_refiner_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_sdxl(tmp_path / "xl")
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"addition_time_embed_dim": 9}))
    with pytest.raises(BadInput, match=r"addition_embed_type 'text_time'\n.*SDXL's base"):
        check(folder)
