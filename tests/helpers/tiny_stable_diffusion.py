"""A Stable Diffusion of the published classes at tiny size, in the folder layout of the published weights."""

import json
import string
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

WIDTH = 12
"""Of the text's embeddings."""

TOKENS = 20
"""That the text encoder reads, its two marks included: a token a letter."""

WIDER, POOLED = 16, 10
"""Of SDXL's second text encoder: width, and width of the pooled text."""

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


def write_tiny_sdxl(folder: Path) -> Path:
    """Write random weights of SDXL's layout, of which the second text encoder is WIDER, projected to POOLED."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        added = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
        added |= {"projection_class_embeddings_input_dim": POOLED + 6 * 8, "cross_attention_dim": WIDTH + WIDER}
        _unet(4, **added).save_pretrained(folder / "unet")
        _vae(0.13025).save_pretrained(folder / "vae")
        _write_text(folder)
        _write_text(folder, "_2", "!", CLIPTextModelWithProjection, hidden_size=WIDER, projection_dim=POOLED)
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    DDIMScheduler(**betas, steps_offset=1).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps({"force_zeros_for_empty_prompt": True}))
    return folder


def _unet(in_channels: int, **more: object) -> UNet2DConditionModel:
    usual = {"cross_attention_dim": WIDTH} | more
    return UNet2DConditionModel(
        sample_size=4,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
        norm_num_groups=4,
        **usual,
    )


def _vae(scaling_factor: float = 0.18215) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        norm_num_groups=4,
        latent_channels=4,
        sample_size=SIZE,
        scaling_factor=scaling_factor,
    )


def _write_text(
    folder: Path, suffix: str = "", padding: str = "<|endoftext|>", kind: type = CLIPTextModel, **more: int
) -> None:
    """CLIP's own tokenizer with a vocabulary of single characters, and an encoder with tensors by published names."""
    signs = ["!", *string.ascii_lowercase, *string.digits, ","]
    marks = ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate([*signs, *(f"{sign}</w>" for sign in signs), *marks])}
    tokenizer = folder / f"tokenizer{suffix}"
    tokenizer.mkdir()
    (tokenizer / "vocab.json").write_text(json.dumps(vocabulary))
    (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS, "bos_token": marks[0]}
    about |= {"eos_token": marks[1], "unk_token": marks[1], "pad_token": padding}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(about))
    config = CLIPTextConfig(
        **{"vocab_size": len(vocabulary), "hidden_size": WIDTH} | more,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        pad_token_id=vocabulary[padding],
        bos_token_id=vocabulary[marks[0]],
        eos_token_id=vocabulary[marks[1]],
    )
    kind(config).save_pretrained(folder / f"text_encoder{suffix}")
    file = folder / f"text_encoder{suffix}" / "model.safetensors"
    tensors = {_published(name): value for name, value in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})


def _published(name: str) -> str:
    return name if name.startswith("text_projection") else f"text_model.{name.removeprefix('text_model.')}"
