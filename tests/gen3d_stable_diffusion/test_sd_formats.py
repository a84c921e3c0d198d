"""Checkpoints of one file, of Stable Diffusion 1.x and 2.x: what comes out gives what went in gave."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from gen3d.errors import BadInput, Unavailable
from gen3d.weights.convert import convert
from gen3d.weights.manage import add
from gen3d_stable_diffusion.networks import load
from gen3d_stable_diffusion.places import find
from gen3d_stable_diffusion.texts import Texts
from tiny_ldm import LATENT, Original, stable_diffusion_original, zero123_original
from tiny_stable_diffusion import TOKENS, write_tiny_stable_diffusion


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_stable_diffusion(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def tokens(folder: Path) -> int:
    return len(json.loads((folder / "tokenizer" / "vocab.json").read_text()))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEN3D_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def said(folder: Path, **more: str) -> dict[str, str]:
    return {"tokenizer": str(folder / "tokenizer"), **more}


@torch.no_grad()
def agrees(original: Original, out: Path) -> None:
    networks, rng = load(out), torch.Generator().manual_seed(0)
    noisy, t = torch.randn(2, 4, LATENT, LATENT, generator=rng), torch.tensor([10, 700])
    text = torch.randn(2, TOKENS, original.unet.config["cross_attention_dim"], generator=rng)
    assert torch.equal(networks(noisy, t, text, torch.zeros(2, 4)), original.unet(noisy, t, text).sample)
    pictures = torch.rand(1, 3, 8 * LATENT, 8 * LATENT, generator=rng) * 2 - 1
    assert torch.equal(networks.codec.encode(pictures), original.vae.encode(pictures).latent_dist.mode())


@torch.no_grad()
def test_stable_diffusion_1(folder: Path, tokens: int, tmp_path: Path) -> None:
    original = stable_diffusion_original(tokens, TOKENS)
    heard: list[str] = []
    out = convert(original.save(tmp_path / "v1-5.ckpt"), tmp_path / "out", given=said(folder), say=heard.append)
    agrees(original, out)
    texts = Texts(out, torch.device("cpu"))
    encoder = texts.encoder()
    ids = encoder.ids(["a red chair"])
    assert torch.equal(texts(["a red chair"]), original.clip(ids).last_hidden_state)
    assert load(out).diffusion.prediction == "epsilon"
    assert load(out).picture_size == 512
    assert heard == []


@torch.no_grad()
def test_stable_diffusion_2(folder: Path, tokens: int, tmp_path: Path) -> None:
    original = stable_diffusion_original(tokens, TOKENS, second=True)
    file = original.save(tmp_path / "v2-1.safetensors")
    with pytest.raises(BadInput, match=r"does not tell what it predicts\n.*prediction=v_prediction"):
        convert(file, tmp_path / "out", given=said(folder))
    heard: list[str] = []
    given = said(folder, prediction="v_prediction")
    out = convert(file, tmp_path / "out", given=given, say=heard.append)
    agrees(original, out)
    texts = Texts(out, torch.device("cpu"))
    ids = texts.encoder().ids(["chair"])
    assert ids[0, -1] == 0  # padded with "!", as OpenCLIP pads
    torch.testing.assert_close(texts(["chair"]), original.clip(ids), atol=1e-4, rtol=1e-4)
    assert load(out).diffusion.prediction == "v_prediction"
    assert load(out).picture_size == 768
    assert heard == []


def test_a_view_conditioned_model_is_refused(folder: Path, tmp_path: Path) -> None:
    file = zero123_original().save(tmp_path / "105000.ckpt")
    with pytest.raises(BadInput, match=r"conv_in has 8 input channels; a text-conditioned model has 4") as caught:
        convert(file, tmp_path / "out", "stable_diffusion", said(folder))
    assert caught.value.exit_code == 2
    add("view-conditioned", str(file))
    with pytest.raises(BadInput, match="are weights of zero123, and not of stable_diffusion"):
        find("view-conditioned")


def test_the_tokenizer_comes_from_other_weights_or_is_asked_for(folder: Path, tokens: int, tmp_path: Path) -> None:
    file = stable_diffusion_original(tokens, TOKENS).save(tmp_path / "v1.safetensors")
    with pytest.raises(Unavailable, match=r"such files hold no tokenizer\n.*tokenizer=FOLDER.*\n.*HF_HUB_OFFLINE"):
        convert(file, tmp_path / "out")
    partial = Path(shutil.copytree(folder / "tokenizer", tmp_path / "partial"))
    (partial / "merges.txt").unlink()
    with pytest.raises(Unavailable, match=r"holds no merges.txt"):
        convert(file, tmp_path / "out", given={"tokenizer": str(partial)})
    add("theirs", str(folder))
    assert (convert(file, tmp_path / "out") / "tokenizer" / "vocab.json").is_file()


def test_a_folder_says_itself_what_it_predicts(tmp_path: Path) -> None:
    folder = write_tiny_stable_diffusion(tmp_path / "v", prediction="v_prediction")
    assert add("mine", str(folder)).options == {"prediction": "v_prediction"}
    assert find("mine") == folder
