"""Reading folders of weights: both published dialects, and everything that can be wrong with them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from gen3d.errors import BadInput, Unavailable
from gen3d_zero123.loader import load
from gen3d_zero123.places import find
from gen3d_zero123.trainee import Trainee
from tiny_zero123 import EMBEDDING, SIZE, write_tiny_zero123


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_zero123(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "tiny"))


def test_every_network_holds_what_was_written(written: Path) -> None:
    networks = load(written, "tiny")
    assert networks.picture_size == SIZE
    assert networks.settings.pose == "radius"
    assert networks.settings.diffusion.prediction == "epsilon"
    for name, network in (
        ("unet", networks.unet),
        ("vae", networks.codec.vae),
        ("image_encoder", networks.encoder.clip),
    ):
        file = next((written / name).glob("*.safetensors"))
        for key, value in load_file(file).items():
            assert torch.equal(network.state_dict()[key], value), key
    assert not any(value.is_meta for value in [*networks.parameters(), *networks.buffers()])


def test_stock_classes_give_the_same_numbers(written: Path) -> None:
    networks = load(written, "tiny")
    vae = AutoencoderKL.from_pretrained(written / "vae")
    picture = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(networks.codec.encode(picture), vae.encode(picture).latent_dist.mode())
        assert networks.encoder(picture).shape == (1, 1, EMBEDDING)


@pytest.mark.parametrize("pickled", [False, True])
def test_both_dialects_of_the_projection(written: Path, tmp_path: Path, pickled: bool) -> None:
    other = write_tiny_zero123(tmp_path / "other", projection="clip_camera_projection", pickled=pickled)
    ours, theirs = load(written, "tiny").projection, load(other, "tiny").projection
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def test_old_vae_attention_names(folder: Path) -> None:
    file = next((folder / "vae").glob("*.safetensors"))
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(file)
    renamed = {}
    for name, value in tensors.items():
        new = next((name.replace(a, b) for a, b in old.items() if f".{a}." in name and "attentions" in name), name)
        renamed[new] = value[:, :, None, None] if new != name and value.ndim == 2 else value
    assert renamed.keys() != tensors.keys()
    save_file({name: value.contiguous() for name, value in renamed.items()}, file)
    state = load(folder, "tiny").codec.vae.state_dict()
    assert all(torch.equal(state[name], value) for name, value in tensors.items())


@pytest.mark.parametrize(
    ("name", "pose", "dialect"), [("stable-zero123", None, "polar"), ("xl", None, "radius"), ("xl", "polar", "polar")]
)
def test_pose_dialect_by_option_or_name(written: Path, name: str, pose: str | None, dialect: str) -> None:
    assert load(written, name, pose).settings.pose == dialect


def test_trained_networks_come_back_from_their_folder(tmp_path: Path) -> None:
    trainee = Trainee(size=16, channels=(32, 32))
    trainee.save(tmp_path / "mine", trained_steps=3)
    trainee.save(tmp_path / "mine", trained_steps=4)
    networks = load(tmp_path / "mine", "mine")
    assert networks.settings == trainee.networks.settings
    ours = trainee.networks.state_dict()
    assert all(torch.equal(ours[name].half().float(), value) for name, value in networks.state_dict().items())
    assert json.loads((tmp_path / "mine" / "model_index.json").read_text())["trained_steps"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def _cut(folder: Path) -> None:
    file = next((folder / "unet").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _misshape(folder: Path) -> None:
    file = next((folder / "unet").glob("*.safetensors"))
    tensors = load_file(file)
    tensors["conv_out.bias"] = torch.zeros(7)
    save_file(tensors, file)


def _lack(folder: Path) -> None:
    file = next((folder / "unet").glob("*.safetensors"))
    tensors = load_file(file)
    del tensors["conv_out.bias"]
    save_file(tensors, file)


def _poison(folder: Path) -> None:
    next((folder / "unet").glob("*.safetensors")).unlink()
    torch.save({"conv_out.bias": print}, folder / "unet" / "diffusion_pytorch_model.bin")


def _unpose(folder: Path) -> None:
    shutil.rmtree(folder / "cc_projection")


def _rename_pose(folder: Path) -> None:
    file = folder / "cc_projection" / "diffusion_pytorch_model.safetensors"
    save_file({f"x.{name}": value for name, value in load_file(file).items()}, file)


def _unconfigure(folder: Path) -> None:
    (folder / "vae" / "config.json").write_text("{")


def _empty(folder: Path) -> None:
    next((folder / "image_encoder").glob("*.safetensors")).unlink()


@pytest.mark.parametrize(
    ("harm", "error", "words"),
    [
        (_cut, BadInput, ("unet", "cut short", "fetch")),
        (_misshape, BadInput, ("conv_out.bias is 7, not 4",)),
        (_lack, BadInput, ("lacks 1 of", "conv_out.bias")),
        (_poison, BadInput, ("pickle", "safetensors")),
        (_unpose, Unavailable, ("no pose projection", "no Zero-1-to-3")),
        (_rename_pose, BadInput, ("holds no pose projection", "cc_projection")),
        (_unconfigure, BadInput, ("vae", "no JSON")),
        (_empty, Unavailable, ("image_encoder", "holds no weights")),
    ],
)
def test_damaged_weights_are_named(
    folder: Path, harm: Callable[[Path], None], error: type[Exception], words: tuple[str, ...]
) -> None:
    harm(folder)
    with pytest.raises(error) as caught:
        load(folder, "tiny")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_plain_stable_diffusion_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_zero123(tmp_path / "plain", in_channels=4)
    with pytest.raises(
        BadInput, match=r"conv_in has 4 input channels; a Zero-1-to-3 has 8.*\n.*plain Stable Diffusion"
    ):
        load(folder, "plain")


def test_a_pose_that_the_projection_was_not_made_for(written: Path) -> None:
    with pytest.raises(BadInput, match=r"projection is 12x16; .*need 12x17"):
        load(written, "tiny", "radius_and_polar")


@pytest.mark.parametrize("name", ["zero123-xl", "someone/else"])
def test_weights_that_were_never_fetched(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Unavailable, match=r"not on this machine\n.*gen3d weights fetch .*\n.*mini") as caught:
        find(name)
    assert caught.value.exit_code == 3


def test_a_misspelt_name(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no such folder.*\n.*did you mean 'zero123-xl'"):
        find("zero123-lx")
    assert find(str(tmp_path)) == tmp_path
