"""The published formulas: pose vector, picture preparation, key names."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from gen3d.cameras import Cameras
from gen3d_zero123.encoders import clip_preprocess
from gen3d_zero123.pose import relative_pose

GOLDEN = Path(__file__).parents[1] / "golden" / "sjc_zero123"


def test_pose_vector_is_the_published_one() -> None:
    golden = np.load(GOLDEN / "pose.npz")
    target, source = (Cameras.look_at(torch.from_numpy(golden[f"eye_{name}"]), 0.857, 8) for name in ("target", "cond"))
    torch.testing.assert_close(relative_pose(target, source).float(), torch.from_numpy(golden["T"]), atol=6e-7, rtol=0)


def test_pose_dialects_differ_after_the_angles() -> None:
    source = Cameras.orbit(0.0, math.radians(20), 1.4, 0.857, 8)
    target = Cameras.orbit(torch.tensor([0.5, -2.0]), 0.3, 1.7, 0.857, 8)
    both = relative_pose(target, source, "radius_and_polar")
    torch.testing.assert_close(relative_pose(target, source, "radius"), both[:, :4])
    torch.testing.assert_close(relative_pose(target, source, "polar"), both[:, [0, 1, 2, 4]])
    torch.testing.assert_close(both[:, 3:], torch.tensor([[0.3, math.radians(70)]]).expand(2, -1))


def test_clip_preparation_is_the_published_one() -> None:
    golden = np.load(GOLDEN / "clip_preprocess.npz")
    prepared = clip_preprocess(torch.from_numpy(golden["image"]))
    torch.testing.assert_close(prepared, torch.from_numpy(golden["clip_input"]), atol=2e-4, rtol=0)


@pytest.mark.parametrize("part", ["unet", "vae", "image_encoder"])
def test_published_key_names_and_shapes(part: str) -> None:
    golden = json.loads((GOLDEN / "diffusers_keys.json").read_text())
    config = golden["configs"][part]
    with torch.device("meta"):
        match part:
            case "unet":
                network = UNet2DConditionModel(**config)
            case "vae":
                network = AutoencoderKL(**config)
            case _:
                network = CLIPVisionModelWithProjection(CLIPVisionConfig(**config))
    assert {name: list(value.shape) for name, value in network.state_dict().items()} == golden["keys"][part]
