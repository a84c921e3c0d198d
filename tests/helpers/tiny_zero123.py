"""A Zero-1-to-3 of the published classes at tiny size, in the folder layout of the published weights."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

EMBEDDING = 12
SIZE = 32
"""Side of its pictures; latents are 4x4."""

_LEVELS = (8, 8, 8, 8)


def write_tiny_zero123(
    folder: Path,
    *,
    projection: str = "cc_projection",
    in_channels: int = 8,
    pickled: bool = False,
    sample_size: int = 4,
) -> Path:
    """Write random weights; the same each time.

    Args:
        folder: where.
        projection: folder of the pose projection, and with it the dialect of its keys.
        in_channels: of the UNet; 4 makes a plain Stable Diffusion of it.
        pickled: whether the projection is a .bin file.
        sample_size: of the UNet: side of its latents.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _unet(in_channels, sample_size).save_pretrained(folder / "unet")
        _vae().save_pretrained(folder / "vae")
        _clip().save_pretrained(folder / "image_encoder")
        key = "projection" if projection == "cc_projection" else "proj"
        _write_projection(folder / projection, key, pickled=pickled)
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
    scheduler.save_pretrained(folder / "scheduler")
    return folder


def _unet(in_channels: int, sample_size: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=EMBEDDING,
        attention_head_dim=2,
        norm_num_groups=4,
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=_LEVELS,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=SIZE,
        scaling_factor=0.18215,
    )


def _clip() -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        projection_dim=EMBEDDING,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
    )
    return CLIPVisionModelWithProjection(config)


def _write_projection(folder: Path, key: str, *, pickled: bool) -> None:
    folder.mkdir()
    linear = nn.Linear(EMBEDDING + 4, EMBEDDING)
    state = {f"{key}.{name}": value.detach() for name, value in linear.state_dict().items()}
    (folder / "config.json").write_text(json.dumps({"_class_name": "CCProjection"}))
    if pickled:
        torch.save(state, folder / "diffusion_pytorch_model.bin")
    else:
        save_file(state, folder / "diffusion_pytorch_model.safetensors")
