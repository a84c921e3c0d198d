"""Checkpoints of one file: the networks that come out give what the networks that went in gave."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors.torch import load_file

from gen3d.errors import BadInput, Gen3dError
from gen3d.weights.convert import convert
from gen3d.weights.ldm import LdmCheckpoint
from gen3d.weights.manage import add
from gen3d_zero123.encoders import clip_preprocess
from gen3d_zero123.loader import load
from gen3d_zero123.places import find
from tiny_ldm import EMBEDDING, LATENT, Original, zero123_original
from tiny_zero123 import write_tiny_zero123


@pytest.fixture(scope="module")
def original() -> Original:
    return zero123_original()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEN3D_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(3)
    noisy, latent = torch.randn(2, 2, 4, LATENT, LATENT, generator=rng)
    pictures = torch.rand(2, 3, 8 * LATENT, 8 * LATENT, generator=rng) * 2 - 1
    return noisy, latent, torch.randn(2, 1, EMBEDDING, generator=rng), pictures


@torch.no_grad()
@pytest.mark.parametrize("suffix", ["ckpt", "safetensors"])
def test_networks_of_a_file_give_what_the_originals_gave(original: Original, suffix: str, tmp_path: Path) -> None:
    file = original.save(tmp_path / f"105000.{suffix}")
    folder = convert(file, tmp_path / "out")
    networks = load(folder, "out")
    noisy, latent, context, pictures = inputs()
    t, pose = torch.tensor([10, 700]), torch.zeros(2, 4)
    stacked = torch.cat([noisy, latent], dim=1)
    assert torch.equal(networks(noisy, t, latent, context, pose), original.unet(stacked, t, context).sample)
    assert torch.equal(networks.codec.encode(pictures), original.vae.encode(pictures).latent_dist.mode())
    assert torch.equal(networks.codec.decode(latent), original.vae.decode(latent).sample)
    theirs = original.clip(clip_preprocess(pictures, 28))
    torch.testing.assert_close(networks.encoder(pictures)[:, 0], theirs, atol=1e-4, rtol=1e-4)
    posed = torch.cat([context, pose[:, None]], dim=-1)
    assert torch.equal(networks.context(context, pose), original.projection(posed))
    assert networks.picture_size == 256
    assert not any(value.is_meta for value in [*networks.parameters(), *networks.buffers()])
    assert all(file.suffix != ".bin" for file in folder.rglob("*"))


def test_names_are_those_of_diffusers_own_converter(original: Original) -> None:
    """It maps LDM's names to diffusers'; ours go the other way, and the tests write files by them."""
    config = {"layers_per_block": 1, "class_embed_type": None, "addition_embed_type": None}
    state = convert_ldm_unet_checkpoint(dict(original.tensors), config, extract_ema=True)
    assert state.keys() == original.unet.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in original.unet.state_dict().items())
    state = convert_ldm_vae_checkpoint(dict(original.tensors), {"down_block_types": [0] * 4, "up_block_types": [0] * 4})
    assert state.keys() == original.vae.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in original.vae.state_dict().items())


def test_half_precision_stays_half_on_the_disk(original: Original, tmp_path: Path) -> None:
    half = Original(original.unet, original.vae, original.clip)
    half.tensors = {name: value.half() for name, value in original.tensors.items()}
    folder = convert(half.save(tmp_path / "half.safetensors"), tmp_path / "out")
    stored = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    read, wanted = load(folder, "out").unet.state_dict(), original.unet.state_dict()
    assert all(torch.equal(read[name], value.half().float()) for name, value in wanted.items())


def test_without_an_average_the_last_step_is_read(tmp_path: Path) -> None:
    original = zero123_original(average=False)
    networks = load(convert(original.save(tmp_path / "a.ckpt"), tmp_path / "out"), "out")
    assert torch.equal(networks.unet.conv_in.weight, original.unet.conv_in.weight)


@pytest.mark.parametrize(
    ("name", "said", "dialect"),
    [("zero123", {}, "radius"), ("stable_zero123", {}, "polar"), ("stable_zero123", {"pose": "radius"}, "radius")],
)
def test_the_pose_is_said_or_in_the_name_and_written_down(
    original: Original, name: str, said: dict[str, str], dialect: str, tmp_path: Path
) -> None:
    folder = convert(original.save(tmp_path / f"{name}.safetensors"), tmp_path / "out", "zero123", said)
    assert load(folder, "out").settings.pose == dialect
    assert json.loads((folder / "cc_projection" / "config.json").read_text())["pose"] == dialect


def test_a_name_for_a_folder_that_does_not_tell_its_pose(tmp_path: Path) -> None:
    folder = write_tiny_zero123(tmp_path / "theirs")
    assert add("mine", str(folder), given={"pose": "polar"}).options == {"pose": "polar"}
    assert add("stable-zero123", str(folder)).options == {"pose": "polar"}
    assert add("other", str(folder)).options == {"pose": "radius"}
    assert find("mine") == folder
    poses = {name: load(find(name), name).settings.pose for name in ("mine", "stable-zero123", "other")}
    assert poses == {"mine": "polar", "stable-zero123": "polar", "other": "radius"}
    with pytest.raises(BadInput, match=r"pose is 'height'\n.*radius or polar or radius_and_polar"):
        add("mine", str(folder), given={"pose": "height"})
    with pytest.raises(BadInput, match=r"unknown key 'pos'\n.*did you mean 'pose'"):
        add("mine", str(folder), given={"pos": "polar"})


def test_a_file_is_converted_when_it_is_first_used(original: Original, tmp_path: Path, cache: Path) -> None:
    file = original.save(tmp_path / "105000.safetensors")
    folder = find(str(file))
    assert folder.is_relative_to(cache)
    written = (folder / "unet" / "config.json").stat().st_mtime_ns
    assert find(str(file)) == folder
    assert (folder / "unet" / "config.json").stat().st_mtime_ns == written
    assert load(folder, str(file)).settings.pose == "radius"


def test_a_folder_of_pickles_becomes_safetensors(tmp_path: Path) -> None:
    folder = write_tiny_zero123(tmp_path / "theirs", projection="clip_camera_projection", pickled=True)
    out = convert(folder, tmp_path / "out")
    assert sorted(file.name for file in (out / "clip_camera_projection").iterdir()) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]
    ours, theirs = load(out, "x").state_dict(), load(folder, "x").state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


# What is refused


def _without(original: Original, prefix: str) -> Original:
    less = Original(original.unet, original.vae, original.clip)
    less.tensors = {name: value for name, value in original.tensors.items() if not name.startswith(prefix)}
    return less


def test_another_model_is_refused_by_its_signature(tmp_path: Path) -> None:
    plain = zero123_original(in_channels=4).save(tmp_path / "sd.safetensors")
    with pytest.raises(BadInput, match=r"conv_in has 4 input channels; a Zero-1-to-3 has 8.*\n.*plain Stable Diff"):
        convert(plain, tmp_path / "out", "zero123")
    unposed = zero123_original(projection=False).save(tmp_path / "unposed.safetensors")
    with pytest.raises(BadInput, match=r"no pose projection \(cc_projection.weight\)"):
        convert(unposed, tmp_path / "out", "zero123")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("model_ema.diffusion_modelmiddle_block0in_layers0", ("lacks 2 tensors of its UNet2D", "model_ema")),
        ("first_stage_model.decoder.mid.attn_1.q.weight", ("lacks 1", "AutoencoderKL", "attn_1.q.weight")),
        ("first_stage_model.", ("has no first_stage_model.*",)),
        ("cond_stage_model.model.visual.transformer.resblocks.1.attn.in_proj_bias", ("CLIPVision", "in_proj_bias")),
        ("cond_stage_model.model.visual.proj", ("lacks cond_stage_model.model.visual.proj",)),
        ("cc_projection.bias", ("lacks 1 tensors of its Linear", "cc_projection.bias")),
        ("model.diffusion_model.", ("no checkpoint in LDM's layout",)),
        ("model.diffusion_model.out.2.weight", ("lacks the tensor model.diffusion_model.out.2.weight",)),
    ],
)
def test_what_is_missing_is_named(original: Original, gone: str, words: tuple[str, ...], tmp_path: Path) -> None:
    file = _without(original, gone).save(tmp_path / "cut.safetensors")
    with pytest.raises(BadInput) as caught:
        convert(file, tmp_path / "out")
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.safetensors"]


def test_what_is_left_over_is_said(original: Original, tmp_path: Path) -> None:
    more = _without(original, "nothing")
    more.tensors["model.diffusion_model.control.weight"] = torch.zeros(1)
    said: list[str] = []
    convert(more.save(tmp_path / "more.safetensors"), tmp_path / "out", say=said.append)
    assert said == ["1 tensors are of no network of zero123, and left out: model.diffusion_model.control.weight"]


def test_extra_tensors_in_a_folder_are_another_network_s(tmp_path: Path) -> None:
    folder = write_tiny_zero123(tmp_path / "theirs")
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"down_block_types": ["DownBlock2D"] * 2}))
    with pytest.raises(BadInput, match=r"has \d+ that do not belong to it: down_blocks.0.attentions"):
        load(folder, "theirs")


class _Code:
    """What a pickle can hold: a call that is made when it is loaded."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.victim,)


@pytest.mark.parametrize("where", ["beside", "inside", "protocol"])
def test_a_pickle_with_code_is_refused_and_runs_nothing(where: str, original: Original, tmp_path: Path) -> None:
    victim, file = tmp_path / "victim", tmp_path / "evil.ckpt"
    code, state = _Code(victim), dict(original.tensors)
    if where == "protocol":
        file.write_bytes(pickle.dumps({"state_dict": code}))
    else:
        content = {"state_dict": state | ({"x": code} if where == "inside" else {}), "callbacks": code}
        torch.save(content, file)
    with pytest.raises(BadInput, match="could run code") as caught:
        convert(file, tmp_path / "out")
    assert caught.value.exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.ckpt"]
    if where == "protocol":
        pickle.loads(file.read_bytes())
    else:
        torch.load(file, weights_only=False)
    assert victim.exists()  # the code was there, and works


class _Callback:
    """Stands for what a trainer leaves in its checkpoints, which is no module of this environment."""


def test_a_trainer_s_objects_are_passed_over(
    original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    from types import ModuleType

    with monkeypatch.context() as trainer:
        for name in ("pytorch_lightning", "pytorch_lightning.callbacks"):
            trainer.setitem(sys.modules, name, ModuleType(name))
        trainer.setattr(_Callback, "__module__", "pytorch_lightning.callbacks")
        trainer.setattr(sys.modules["pytorch_lightning.callbacks"], "_Callback", _Callback, raising=False)
        content = {"state_dict": original.tensors, "callbacks": {_Callback: {"best": _Callback()}}}
        torch.save(content, tmp_path / "trained.ckpt")
    checkpoint = LdmCheckpoint.read(tmp_path / "trained.ckpt")
    assert checkpoint.tensors.keys() == original.tensors.keys()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="where the system lists what is mapped")
def test_big_files_are_mapped_and_not_read(original: Original, tmp_path: Path) -> None:
    checkpoint = LdmCheckpoint.read(original.save(tmp_path / "a.ckpt"))
    assert len(checkpoint.tensors) > 100
    assert str(tmp_path / "a.ckpt") in Path("/proc/self/maps").read_text()
    del checkpoint
    assert str(tmp_path / "a.ckpt") not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("suffix", ["ckpt", "safetensors"])
def test_a_file_that_is_cut_short(original: Original, suffix: str, tmp_path: Path) -> None:
    file = original.save(tmp_path / f"a.{suffix}")
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(BadInput, match="damaged or cut short") as caught:
        convert(file, tmp_path / "out")
    assert caught.value.exit_code == 2


def test_a_full_disk_leaves_nothing_behind(original: Original, tmp_path: Path) -> None:
    import resource

    file = original.save(tmp_path / "a.safetensors")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(Gen3dError) as caught:
            convert(file, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == 3, str(caught.value)
    assert "the disk is full" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_folder_that_is_there_is_not_written_over(original: Original, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInput, match="already exists"):
        convert(original.save(tmp_path / "a.safetensors"), tmp_path / "out")
