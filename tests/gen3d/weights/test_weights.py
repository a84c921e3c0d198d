"""Folders of weights: codecs, schedules, names, and how a folder is replaced."""

import json
from pathlib import Path

import pytest
import torch

from gen3d.errors import BadInput, Unavailable
from gen3d.weights.codecs import PixelRearrange, load_codec, signed
from gen3d.weights.folder import Diffusion, replacing
from gen3d.weights.places import find


def test_rearranged_pixels_come_back() -> None:
    pictures = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    codec = PixelRearrange(4)
    latents = codec.encode(pictures)
    assert latents.shape == (2, codec.channels, 4, 6)
    torch.testing.assert_close(latents[0, :16, 1, 2].reshape(4, 4), pictures[0, 0, 4:8, 8:12])
    assert torch.equal(codec.decode(latents), pictures)


def test_a_codec_is_what_its_configuration_names(tmp_path: Path) -> None:
    PixelRearrange(8).save_config(tmp_path)
    codec = load_codec(tmp_path)
    assert isinstance(codec, PixelRearrange)
    assert (codec.factor, codec.channels, codec.scaling) == (8, 192, 1.0)
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "VQModel"}))
    with pytest.raises(BadInput, match="codec 'VQModel' is not known"):
        load_codec(tmp_path)


def test_pictures_are_signed_and_shrink_by_averaging() -> None:
    pictures = torch.zeros(1, 32, 32, 3)
    pictures[:, ::2] = 1
    assert signed(pictures, 32).unique().tolist() == [-1, 1]
    small = signed(pictures, 8)
    assert small.shape == (1, 3, 8, 8)
    torch.testing.assert_close(small[..., 2:6, :], torch.zeros(1, 3, 4, 8), atol=0.05, rtol=0)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_a_schedule_comes_back_from_its_folder(tmp_path: Path, prediction: str) -> None:
    written = Diffusion(prediction, 0.002, 0.03, 500)
    written.write(tmp_path / "scheduler")
    read = Diffusion.read(tmp_path / "scheduler")
    assert read == written
    assert len(read.schedule()) == 500


def test_what_is_not_said_of_a_schedule_is_stable_diffusion_s(tmp_path: Path) -> None:
    (tmp_path / "scheduler_config.json").write_text("{}")
    assert Diffusion.read(tmp_path) == Diffusion()
    (tmp_path / "scheduler_config.json").write_text(json.dumps({"beta_schedule": "linear"}))
    with pytest.raises(BadInput, match="'linear' is not known"):
        Diffusion.read(tmp_path)


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    def write(content: str, error: type[BaseException] | None = None) -> None:
        with replacing(tmp_path / "weights") as draft:
            (draft / "file").write_text(content)
            if error:
                raise error

    write("one")
    write("two")
    with pytest.raises(KeyboardInterrupt):
        write("half", KeyboardInterrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]
    assert (tmp_path / "weights" / "file").read_text() == "two"


def test_weights_are_shipped_for_one_kind_of_prior() -> None:
    assert (find("mini", "zero123") / "unet").is_dir()
    with pytest.raises(Unavailable, match=r"no such folder of weights.*\n.*none are known"):
        find("mini", "no_such_prior")
