"""The networks of a Stable Diffusion, read from the diffusers folder layout."""

from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float, Int
from torch import Tensor, nn

from gen3d.cameras import Cameras
from gen3d.errors import BadInput
from gen3d.weights.codecs import Codec, load_codec
from gen3d.weights.files import read_config, read_network
from gen3d.weights.folder import Diffusion

VIEW_WIDTH = 4
"""Numbers that tell a network where a view is."""


class Networks(nn.Module):
    """UNet and codec; the text encoder comes and goes.

    Args:
        unet: sees the noisy latent, and the text through cross-attention.
        codec: pictures to latents and back.
        diffusion: the noise schedule, and what the UNet's output is.
    """

    def __init__(self, unet: UNet2DConditionModel, codec: Codec, diffusion: Diffusion) -> None:
        super().__init__()
        self.unet, self.codec, self.diffusion = unet, codec, diffusion

    @property
    def picture_size(self) -> int:
        """Side of the pictures it works on, pixels."""
        return int(self.unet.config["sample_size"]) * self.codec.factor

    @property
    def sees_cameras(self) -> bool:
        """Whether it is told where a view is, beside the time: small ones are, published ones are not."""
        return bool(self.unet.config["class_embed_type"] == "projection")

    def forward(
        self,
        noisy: Float[Tensor, "batch channels height width"],
        t: Int[Tensor, " batch"],
        text: Float[Tensor, "batch tokens context"],
        view: Float[Tensor, "batch features"],
    ) -> Float[Tensor, "batch channels height width"]:
        """The UNet's output as `diffusion` defines it. `view` is not read by networks that see no cameras."""
        dtype = self.unet.dtype
        labels = view.to(dtype) if self.sees_cameras else None
        output: Tensor = self.unet(noisy.to(dtype), t, text.to(dtype), class_labels=labels).sample
        return output


def view_features(cameras: Cameras) -> Float[Tensor, "views 4"]:
    """Where a view is: the unit vector towards the camera, and half the height of what it shows at the origin.

    All zeros is no view, and what the networks are told where the view is left out.
    """
    frame = cameras.radius * torch.tan(cameras.fov / 2)
    return torch.cat([cameras.position / cameras.radius[:, None], frame[:, None]], dim=-1)


def load(folder: Path) -> Networks:
    """Read `unet`, `vae` and `scheduler`.

    Raises:
        Unavailable: a part is missing.
        BadInput: a part is damaged, misshapen, or of another kind of model.
    """
    codec = load_codec(folder / "vae")
    _check(read_config(folder / "unet"), codec, folder)
    unet: UNet2DConditionModel = read_network(folder / "unet", UNet2DConditionModel.from_config)
    return Networks(unet, codec, Diffusion.read(folder / "scheduler"))


def _check(unet: dict[str, Any], codec: Codec, folder: Path) -> None:
    """Whether this is a Stable Diffusion of the kind that is asked with a noisy latent and a text alone."""
    have, place = unet.get("in_channels"), str(folder / "unet")
    if have != codec.channels:
        cause = f"conv_in has {have} input channels; a text-conditioned model has {codec.channels}: the noisy latent"
        remedy = "inpainting, depth and view-conditioned models cannot be used here"
        raise BadInput(cause, place=place, remedy=remedy)
    told = (unet.get("class_embed_type"), unet.get("projection_class_embeddings_input_dim"))
    added = unet.get("addition_embed_type")
    if told not in ((None, None), ("projection", VIEW_WIDTH)) or added not in (None, "text"):
        cause = f"has class_embed_type {told[0]!r} of width {told[1]} and addition_embed_type {added!r}"
        raise BadInput(cause, place=place, remedy="use Stable Diffusion 1.x or 2.x; SDXL and unCLIP are others")
    width, reads = read_config(folder / "text_encoder").get("hidden_size", 512), unet.get("cross_attention_dim")
    if reads != width:
        cause = f"reads text of width {reads}, and text_encoder writes {width}"
        raise BadInput(cause, place=place, remedy="the two folders belong to different models")
