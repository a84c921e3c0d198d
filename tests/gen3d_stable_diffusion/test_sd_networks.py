"""Reading folders of weights: other kinds of models, and damage."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from gen3d.errors import BadInput, Gen3dError, Unavailable
from gen3d_stable_diffusion.networks import load
from gen3d_stable_diffusion.places import find
from gen3d_stable_diffusion.text import load_text_encoder, load_tokenizer
from tiny_stable_diffusion import write_tiny_stable_diffusion


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_stable_diffusion(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "tiny"))


def _change(path: Path, **entries: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def _read(folder: Path) -> None:
    load(folder)
    load_text_encoder(folder, load_tokenizer(folder / "tokenizer"))


def _lack(folder: Path) -> None:
    file = folder / "text_encoder" / "model.safetensors"
    tensors = load_file(file)
    tensors.pop(next(name for name in tensors if "token_embedding" in name))
    save_file(tensors, file)


def _cut(folder: Path) -> None:
    file = next((folder / "unet").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:200])


@pytest.mark.parametrize(
    ("harm", "error", "words"),
    [
        (_cut, BadInput, ("unet", "cut short")),
        (_lack, BadInput, ("text_encoder", "lacks 1 of", "token_embedding")),
        (lambda f: shutil.rmtree(f / "vae"), Unavailable, ("vae", "is missing")),
        (lambda f: _change(f / "text_encoder/config.json", hidden_size=24), BadInput, ("width 12", "writes 24")),
        (lambda f: _change(f / "text_encoder/config.json", vocab_size=9), BadInput, ("token_embedding",)),
        (lambda f: _change(f / "unet/config.json", class_embed_type="timestep"), BadInput, ("unCLIP",)),
        (
            lambda f: _change(f / "scheduler/scheduler_config.json", prediction_type="flow"),
            BadInput,
            ("'flow' is not known",),
        ),
    ],
)
def test_damaged_weights_are_named(
    folder: Path, harm: Callable[[Path], None], error: type[Gen3dError], words: tuple[str, ...]
) -> None:
    harm(folder)
    with pytest.raises(error) as caught:
        _read(folder)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_other_kinds_of_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"9 input channels; a text-conditioned model has 4"):
        load(write_tiny_stable_diffusion(tmp_path / "inpaint", in_channels=9))


def test_weights_that_are_not_here_say_how_to_fetch_them() -> None:
    with pytest.raises(Unavailable, match=r"gen3d weights fetch sd-2\.1-base   \(about 5 GB\)"):
        find("sd-2.1-base")
    with pytest.raises(Unavailable, match=r"did you mean 'sd-1\.5'"):
        find("sd-1.6")
