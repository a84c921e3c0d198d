"""What the small networks have in common that this project trains: on blocks of pixels, predicting clean latents.

The latents of objects fill little of their space, where noise fills all of it and would have to be carried through few
channels (Li & He 2025, "Back to basics").
"""

from typing import Any

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.diffusion import NoiseSchedule
from gen3d.weights.codecs import PixelRearrange
from gen3d.weights.folder import Diffusion

HEAD = 32
"""Channels of an attention head: what a network's widths are multiples of."""

DIFFUSION = Diffusion("sample", 0.0017, 0.024)
"""Twice Stable Diffusion's betas: in pixels the coarse shape, which is what a condition decides, outlives more noise
than in latents (Hoogeboom et al. 2023, "simple diffusion"); with the published ones it shows at the last timestep."""

_GROUPS = 16
_MOST = 5.0
"""Bound of the loss's weight 1 / sigma^2, which makes it the loss of velocities (min-SNR, Hang et al. 2023)."""

Clean = Float[Tensor, "batch channels rows columns"]


def pixel_unet(
    codec: PixelRearrange, size: int, channels: tuple[int, ...], layers: int, beside: int, camera: int, **more: Any
) -> UNet2DConditionModel:
    """A UNet without attention at its finest level, where it would cost most.

    Args:
        codec: whose latents it works on.
        size: side of the pictures, pixels.
        channels: of its levels, multiples of HEAD; the context is as wide as the last.
        layers: residual blocks a level.
        beside: input channels that stand beside the noisy latent.
        camera: numbers about the camera, which enter beside the time.
        more: of its configuration.
    """
    deep = len(channels) - 1
    return UNet2DConditionModel(
        sample_size=size // codec.factor,
        in_channels=codec.channels + beside,
        out_channels=codec.channels,
        block_out_channels=channels,
        layers_per_block=layers,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * deep),
        up_block_types=(*("CrossAttnUpBlock2D",) * deep, "UpBlock2D"),
        attention_head_dim=tuple(count // HEAD for count in channels),
        cross_attention_dim=channels[-1],
        norm_num_groups=_GROUPS,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=camera,
        **more,
    )


def noised(clean: Clean, schedule: NoiseSchedule, rng: torch.Generator) -> tuple[Clean, Int[Tensor, " batch"]]:
    """Clean latents with noise, and at which timesteps.

    Rather late ones: in early ones the noise hides nothing that the condition would have to tell.
    """
    noise = torch.randn(clean.shape, generator=rng)
    t = (len(schedule) * torch.rand(len(clean), generator=rng).sqrt()).long()
    return schedule.add_noise(clean, noise, t), t


def clean_loss(output: Clean, clean: Clean, t: Int[Tensor, " batch"], schedule: NoiseSchedule) -> Float[Tensor, ""]:
    """Weighted squared error of clean latents that were predicted at timesteps t."""
    weight = schedule.sigma(t).square().reciprocal().clamp_max(_MOST)
    return (weight * (output.float() - clean).square()).mean()
