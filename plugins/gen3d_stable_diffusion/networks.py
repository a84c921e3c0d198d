"""The networks of a Stable Diffusion, read from the diffusers folder layout."""

from collections.abc import Mapping
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
from gen3d_stable_diffusion.sdxl import SECOND, width

VIEW_WIDTH = 4
"""Numbers that tell a network where a view is."""

_SIZES = 6
"""Numbers that tell SDXL's how large a picture is, and where it was cut."""


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

    @property
    def pooled(self) -> int:
        """Width of the pooled text, which stands beside the time in SDXL, and last among the tokens here; 0 without."""
        config = self.unet.config
        return _pooled(config) if config["addition_embed_type"] == "text_time" else 0

    def forward(
        self,
        noisy: Float[Tensor, "batch channels height width"],
        t: Int[Tensor, " batch"],
        text: Float[Tensor, "batch tokens context"],
        view: Float[Tensor, "batch features"],
    ) -> Float[Tensor, "batch channels height width"]:
        """The UNet's output as `diffusion` defines it. `view` is not read by networks that see no cameras."""
        dtype = self.unet.dtype
        labels, beside = view.to(dtype) if self.sees_cameras else None, None
        if self.pooled:
            side = self.picture_size  # the picture's own, where it was cut, and what is asked for: the whole of it
            sizes = noisy.new_tensor([side, side, 0, 0, side, side]).expand(len(noisy), -1)
            beside = {"text_embeds": text[:, -1, : self.pooled].to(dtype), "time_ids": sizes}
            text = text[:, :-1]
        output: Tensor = self.unet(
            noisy.to(dtype), t, text.to(dtype), class_labels=labels, added_cond_kwargs=beside
        ).sample
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
    check(folder)
    codec = load_codec(folder / "vae")
    unet: UNet2DConditionModel = read_network(folder / "unet", UNet2DConditionModel.from_config)
    if unet.config["in_channels"] != codec.channels:
        cause = f"its latents have {codec.channels} channels, and those of the unet {unet.config['in_channels']}"
        raise BadInput(cause, place=str(folder / "vae"), remedy="the two folders belong to different models")
    return Networks(unet, codec, Diffusion.read(folder / "scheduler"))


def check(folder: Path) -> None:
    """Whether this is a Stable Diffusion of the kind that is asked with a noisy latent and a text alone.

    Reads configurations only, before anything else is looked for, so that another kind of model is called by its name.

    Raises:
        Unavailable: a configuration is missing.
        BadInput: it is another kind of model.
    """
    unet, place = read_config(folder / "unet"), str(folder / "unet")
    have, own = unet.get("in_channels"), unet.get("out_channels")
    if have != own:
        cause = f"conv_in has {have} input channels; a text-conditioned model has {own}: the noisy latent"
        remedy = "inpainting, depth and view-conditioned models cannot be used here"
        raise BadInput(cause, place=place, remedy=remedy)
    told = (unet.get("class_embed_type"), unet.get("projection_class_embeddings_input_dim"))
    added, two = unet.get("addition_embed_type"), (folder / SECOND).is_dir()
    known = told in ((None, None), ("projection", VIEW_WIDTH)) and added in (None, "text")
    if two and added == "text_time":
        known = told[0] is None and _pooled(unet) == read_config(folder / SECOND).get("projection_dim")
    if not known:
        cause = f"has class_embed_type {told[0]!r} of width {told[1]} and addition_embed_type {added!r}"
        raise BadInput(cause, place=place, remedy="use Stable Diffusion 1.x, 2.x or SDXL's base; unCLIP is another")
    writes, reads = width(folder) + (width(folder, SECOND) if two else 0), unet.get("cross_attention_dim")
    if reads != writes:
        cause = f"reads text of width {reads}, and text_encoder writes {writes}"
        raise BadInput(cause, place=place, remedy="the two folders belong to different models")


def _pooled(unet: Mapping[str, Any]) -> int:
    """What the embedded sizes leave for the pooled text."""
    return int(unet["projection_class_embeddings_input_dim"]) - _SIZES * int(unet["addition_time_embed_dim"] or 0)
