"""One-file checkpoints in LDM's layout, of the real classes at tiny size."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from clip_towers import PictureTower, TextTower
from gen3d.weights.ldm_names import ema_name, unet_name, vae_name

EMBEDDING, LATENT = 12, 4
LAYERS, LEVELS = 1, 4


@dataclass
class Original:
    """The networks that a checkpoint was made of, and its tensors."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    clip: nn.Module
    projection: nn.Linear | None = None
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def save(self, path: Path) -> Path:
        """As .safetensors, or as torch.save writes what a training leaves."""
        tensors = {name: value.contiguous().clone() for name, value in self.tensors.items()}
        if path.suffix == ".safetensors":
            save_file(tensors, path)
        else:
            torch.save({"state_dict": tensors, "global_step": 105000, "optimizer_states": [{"lr": 1e-4}]}, path)
        return path


def zero123_original(in_channels: int = 8, *, average: bool = True, projection: bool = True) -> Original:
    """A Zero-1-to-3, the same each time, whose UNet's average differs from its last step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = Original(_unet(in_channels, EMBEDDING), _vae(), PictureTower(embedding=EMBEDDING))
        made.projection = nn.Linear(EMBEDDING + 4, EMBEDDING)
    made.tensors = _unet_tensors(made.unet, average=average) | _vae_tensors(made.vae) | _schedule()
    made.tensors |= _prefixed("cond_stage_model.model.visual.", made.clip)
    made.tensors |= {"cond_stage_model.model.logit_scale": torch.zeros(()), "logvar": torch.zeros(1000)}
    made.tensors |= {"cond_stage_model.model.token_embedding.weight": torch.zeros(9, 8)}
    if projection:
        made.tensors |= _prefixed("cc_projection.", made.projection)
    return made


def stable_diffusion_original(tokens: int, length: int, *, second: bool = False) -> Original:
    """A Stable Diffusion 1.x, or 2.x with OpenCLIP's text tower; of so many tokens, in texts of this length."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        width = 128 if second else 64
        unet = _unet(4, width, linear=second)
        clip = TextTower(tokens, width, length=length) if second else _text(tokens, width, length)
        made = Original(unet, _vae(), clip)
    made.tensors = _unet_tensors(made.unet, average=not second) | _vae_tensors(made.vae) | _schedule()
    if second:
        made.tensors |= _prefixed("cond_stage_model.model.", made.clip)
    else:
        state = {name.removeprefix("text_model."): value for name, value in made.clip.state_dict().items()}
        made.tensors |= {f"cond_stage_model.transformer.text_model.{name}": value for name, value in state.items()}
        made.tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(length)[None]
    return made


def _unet(in_channels: int, context: int, *, linear: bool = False) -> UNet2DConditionModel:
    """As LDM makes them: groups of 32, 8 heads or heads of 64."""
    channels = (64, 128) if linear else (32, 64)
    network = UNet2DConditionModel(
        sample_size=LATENT,
        in_channels=in_channels,
        block_out_channels=channels,
        layers_per_block=LAYERS,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=context,
        attention_head_dim=tuple(width // 64 for width in channels) if linear else 8,
        use_linear_projection=linear,
    )
    return _stirred(network)


def _vae() -> AutoencoderKL:
    network = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * LEVELS,
        up_block_types=("UpDecoderBlock2D",) * LEVELS,
        block_out_channels=(32, 32, 32, 32),
        latent_channels=4,
        sample_size=8 * LATENT,
    )
    return _stirred(network)


def _stirred(network: Any) -> Any:
    """With norms that do something: they start as identities, and would not be missed."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def _text(tokens: int, width: int, length: int) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=tokens,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=width // 64,
        max_position_embeddings=length,
        bos_token_id=tokens - 2,
        eos_token_id=tokens - 1,
    )
    return CLIPTextModel(config)


def _unet_tensors(unet: UNet2DConditionModel, *, average: bool) -> dict[str, Tensor]:
    ours = {unet_name(name, LAYERS, frozenset({1})): value for name, value in unet.state_dict().items()}
    if not average:
        return {f"model.diffusion_model.{name}": value for name, value in ours.items()}
    last = {f"model.diffusion_model.{name}": value + 1 for name, value in ours.items()}
    counters = {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(7)}
    return last | {ema_name(name): value for name, value in ours.items()} | counters


def _vae_tensors(vae: AutoencoderKL) -> dict[str, Tensor]:
    tensors = {}
    for name, value in vae.state_dict().items():
        square = "attentions" in name and value.ndim == 2
        tensors[f"first_stage_model.{vae_name(name, LEVELS)}"] = value[:, :, None, None] if square else value
    return tensors


def _prefixed(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in network.state_dict().items()}


def _schedule() -> dict[str, Tensor]:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    return {"betas": betas, "alphas_cumprod": (1 - betas).cumprod(0)}
