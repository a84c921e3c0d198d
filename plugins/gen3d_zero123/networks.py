"""The networks of a Zero-1-to-3, and how one call of the UNet is put together."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float, Int
from torch import Tensor, nn

from gen3d.cameras import Cameras
from gen3d.weights.codecs import Codec
from gen3d.weights.folder import Diffusion
from gen3d_zero123.encoders import PictureEncoder
from gen3d_zero123.epipolar import epipolar_features
from gen3d_zero123.pose import PoseDialect


@dataclass(frozen=True)
class Settings:
    """What the files of a checkpoint say beside the networks' own configurations.

    Args:
        pose: components of the pose vector.
        diffusion: the noise schedule, and what the UNet's output is.
        epipolar: points along each pixel's ray that are looked up in the input picture; published: none.
    """

    pose: PoseDialect = "radius"
    diffusion: Diffusion = field(default_factory=Diffusion)
    epipolar: int = 0


class Networks(nn.Module):
    """UNet, codec, picture encoder and pose projection.

    Args:
        unet: sees noisy and condition latents side by side, and the tokens through cross-attention.
        codec: pictures to latents and back.
        encoder: pictures to tokens.
        projection: a token with the pose appended, to the UNet's cross-attention width.
        settings: what else the checkpoint says.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        codec: Codec,
        encoder: PictureEncoder,
        projection: nn.Linear,
        settings: Settings,
    ) -> None:
        super().__init__()
        self.unet, self.codec, self.encoder, self.projection, self.settings = unet, codec, encoder, projection, settings

    @property
    def picture_size(self) -> int:
        """Side of the pictures it works on, pixels."""
        return int(self.unet.config["sample_size"]) * self.codec.factor

    @property
    def posed_class(self) -> bool:
        """Whether the pose also enters beside the time: with many tokens, it cannot steer attention by itself."""
        return bool(self.unet.config["class_embed_type"] == "projection")

    def context(
        self, tokens: Float[Tensor, "batch tokens length"], pose: Float[Tensor, "batch components"]
    ) -> Float[Tensor, "batch tokens context"]:
        """Each token with the pose appended, projected (`cc_projection`; published: one token, 772 -> 768)."""
        posed = torch.cat([tokens, pose[:, None].expand(-1, tokens.shape[1], -1)], dim=-1)
        projected: Tensor = self.projection(posed)
        return projected

    def condition_latent(
        self,
        latent: Float[Tensor, "batch channels rows columns"],
        pictures: Float[Tensor, "batch 3 height width"],
        sources: Cameras,
        targets: Cameras,
    ) -> Float[Tensor, "batch all_channels rows columns"]:
        """What stands beside the noisy latent: the picture's, and what each pixel's ray meets in the picture."""
        points = self.settings.epipolar
        if not points:
            return latent
        return torch.cat([latent, epipolar_features(pictures, sources, targets, points, latent.shape[-1])], dim=1)

    def forward(
        self,
        noisy: Float[Tensor, "batch channels height width"],
        t: Int[Tensor, " batch"],
        latent: Float[Tensor, "batch condition height width"],
        context: Float[Tensor, "batch tokens context"],
        pose: Float[Tensor, "batch components"],
    ) -> Float[Tensor, "batch channels height width"]:
        """The UNet's output as its settings define it; `latent` is the condition's."""
        stacked = torch.cat([noisy, latent], dim=1).to(self.unet.dtype)
        labels = pose.to(self.unet.dtype) if self.posed_class else None
        output: Tensor = self.unet(stacked, t, context.to(self.unet.dtype), class_labels=labels).sample
        return output


Null = Literal["zeros", "trained"]
"""The unconditional branch's tokens: zeros after the projection (published inference), or projected zeros with the
pose (what the published training drops to)."""
