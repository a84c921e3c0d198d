"""A Stable Diffusion of the published classes at tiny size, in the folder layout of the published weights."""

import json
import string
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

WIDTH = 12
"""Of the text's embeddings."""

TOKENS = 20
"""That the text encoder reads, its two marks included: a token a letter."""

SIZE = 16
"""Side of its pictures; latents are 4x4."""


def write_tiny_stable_diffusion(folder: Path, *, prediction: str = "epsilon", in_channels: int = 4) -> Path:
    """Write random weights; the same each time.

    Args:
        folder: where.
        prediction: what the UNet's output is: "epsilon" (1.x, 2.1-base) or "v_prediction" (2.1).
        in_channels: of the UNet; 9 makes an inpainting model of it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _unet(in_channels).save_pretrained(folder / "unet")
        _vae().save_pretrained(folder / "vae")
        _write_text(folder)
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    DDIMScheduler(**betas, prediction_type=prediction, steps_offset=1).save_pretrained(folder / "scheduler")
    return folder


def _unet(in_channels: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=4,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        norm_num_groups=4,
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        norm_num_groups=4,
        latent_channels=4,
        sample_size=SIZE,
        scaling_factor=0.18215,
    )


def _write_text(folder: Path) -> None:
    """CLIP's own tokenizer with a vocabulary of single characters, and an encoder with tensors by published names."""
    signs = [*string.ascii_lowercase, *string.digits, ","]
    marks = ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate([*signs, *(f"{sign}</w>" for sign in signs), *marks])}
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "vocab.json").write_text(json.dumps(vocabulary))
    (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS, "bos_token": marks[0]}
    about |= {"eos_token": marks[1], "unk_token": marks[1], "pad_token": marks[1]}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(about))
    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        pad_token_id=vocabulary[marks[1]],
        bos_token_id=vocabulary[marks[0]],
        eos_token_id=vocabulary[marks[1]],
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    file = folder / "text_encoder" / "model.safetensors"
    tensors = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})
