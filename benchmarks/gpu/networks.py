"""Stable Diffusion 2.1 and Zero-1-to-3 as published, with random weights; or the same layers, narrower."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from gen3d.diffusion import PredictionType
from gen3d.part import frozen
from gen3d.weights.codecs import Autoencoder
from gen3d.weights.folder import Diffusion
from gen3d_stable_diffusion.networks import Networks
from gen3d_stable_diffusion.texts import Texts
from gen3d_zero123.encoders import ClipEncoder
from gen3d_zero123.networks import Networks as PosedNetworks
from gen3d_zero123.networks import Settings

TOKENS = 77
NARROW = 40
"""Times fewer channels than published, where only the code is tried."""


class Embeddings(Texts):
    """Random embeddings of texts, in the place of a text encoder's: it does no work in a step."""

    def __init__(self, width: int, device: torch.device) -> None:
        self.width, self.device = width, device
        self._known: dict[str, Tensor] = {}

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "texts tokens width"]:
        """One for each text, the same each time."""
        for text in texts:
            if text not in self._known:
                generator = torch.Generator().manual_seed(len(self._known))
                self._known[text] = torch.randn(TOKENS, self.width, generator=generator).to(self.device)
        return torch.stack([self._known[text] for text in texts])


def stable_diffusion(
    latent: int, narrow: int, device: torch.device, prediction: PredictionType = "epsilon"
) -> Networks:
    """Stable Diffusion 2.1's."""
    with _random(device):
        unet = _unet(latent, narrow, 4, 1024 // narrow, linear=True)
        result = Networks(unet, Autoencoder(_vae(latent, narrow)), Diffusion(prediction))
    _ready(result, device)
    return result


def zero123(latent: int, narrow: int, device: torch.device) -> PosedNetworks:
    """Zero-1-to-3's."""
    width = 768 // narrow // 4 * 4
    with _random(device):
        unet = _unet(latent, narrow, 8, width, linear=False)
        encoder, projection = ClipEncoder(_clip(narrow, width)), nn.Linear(width + 4, width)
        result = PosedNetworks(unet, Autoencoder(_vae(latent, narrow)), encoder, projection, Settings())
    _ready(result, device)
    return result


def _ready(networks: Any, device: torch.device) -> None:
    """Frozen, and as the priors have them on that device."""
    frozen(networks)
    if device.type == "cuda":
        for name, network in networks.named_children():
            if name != "projection":
                network.to(torch.bfloat16)
        networks.codec.to(memory_format=torch.channels_last)
    networks.unet.to(memory_format=torch.channels_last)


@contextmanager
def _random(device: torch.device) -> Iterator[None]:
    """Weights are made on the device, from the seed 0."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), device:
        torch.manual_seed(0)
        yield


def _unet(latent: int, narrow: int, channels: int, context: int, *, linear: bool) -> UNet2DConditionModel:
    heads: Any = [5, 10, 20, 20] if linear else 8
    return UNet2DConditionModel(
        sample_size=latent,
        in_channels=channels,
        block_out_channels=[width // narrow for width in (320, 640, 1280, 1280)],
        norm_num_groups=32 if narrow == 1 else 8,
        cross_attention_dim=context,
        attention_head_dim=heads if narrow == 1 else 4,
        use_linear_projection=linear,
    )


def _vae(latent: int, narrow: int) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=[max(8, width // narrow // 8 * 8) for width in (128, 256, 512, 512)],
        layers_per_block=2,
        norm_num_groups=32 if narrow == 1 else 4,
        scaling_factor=0.18215,
        sample_size=8 * latent,
    )


def _clip(narrow: int, width: int) -> CLIPVisionModelWithProjection:
    sizes = (1024, 24, 16, 224) if narrow == 1 else (16, 2, 2, 28)
    hidden, layers, heads, side = sizes
    config = CLIPVisionConfig(
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        image_size=side,
        patch_size=14,
    )
    return CLIPVisionModelWithProjection(config)
