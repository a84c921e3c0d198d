"""What turns pictures into the latents a network works on: a learned autoencoder, or a rearrangement of pixels."""

from pathlib import Path
from typing import Any, cast

from diffusers import AutoencoderKL
from diffusers.configuration_utils import ConfigMixin, register_to_config
from jaxtyping import Float
from kornia.geometry.transform import resize
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from gen3d.errors import BadInput
from gen3d.weights.files import filled, read_config, read_tensors

_OLD_VAE = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


class PixelRearrange(nn.Module, ConfigMixin):
    """Blocks of pixels as channels: nothing to train, nothing lost. The codec of small pixel-space networks.

    Args:
        factor: side of a block; a picture of 3 channels becomes 3 factor^2 channels.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(self, factor: int = 4) -> None:
        super().__init__()
        self.factor, self.scaling = factor, 1.0

    @property
    def channels(self) -> int:
        """Channels of a latent."""
        return 3 * self.factor**2

    def encode(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels rows columns"]:
        """Latents of pictures in [-1, 1]."""
        return pixel_unshuffle(pictures, self.factor)

    def decode(self, latents: Float[Tensor, "batch channels rows columns"]) -> Float[Tensor, "batch 3 height width"]:
        """Pictures of latents."""
        return pixel_shuffle(latents, self.factor)


class Autoencoder(nn.Module):
    """A stock AutoencoderKL, with the posterior's mode as the latent, unscaled; sampling it would only add noise.

    Args:
        vae: the network.
    """

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae
        config = cast("Any", vae.config)
        self.factor = 2 ** (len(config.block_out_channels) - 1)
        self.scaling, self.channels = float(config.scaling_factor), int(config.latent_channels)

    def encode(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels rows columns"]:
        """Posterior mode of pictures in [-1, 1], not multiplied by the scaling factor."""
        mode: Tensor = self.vae.encode(pictures.to(self.vae.dtype)).latent_dist.mode()
        return mode.float()

    def decode(self, latents: Float[Tensor, "batch channels rows columns"]) -> Float[Tensor, "batch 3 height width"]:
        """Pictures of unscaled latents."""
        sample: Tensor = self.vae.decode(latents.to(self.vae.dtype)).sample
        return sample.float()


Codec = PixelRearrange | Autoencoder


def load_codec(folder: Path) -> Codec:
    """What the folder's config.json names: AutoencoderKL or PixelRearrange."""
    config = read_config(folder)
    kind = config.get("_class_name")
    if kind == "PixelRearrange":
        codec: PixelRearrange = PixelRearrange.from_config(config)
        return codec
    if kind != "AutoencoderKL":
        raise BadInput(
            f"codec {kind!r} is not known", place=str(folder), remedy="known are AutoencoderKL, PixelRearrange"
        )
    tensors, path = read_tensors(folder)
    return Autoencoder(filled(lambda: AutoencoderKL.from_config(config), folder, _modern(tensors), path))


def signed(images: Float[Tensor, "batch height width 3"], size: int) -> Float[Tensor, "batch 3 size size"]:
    """Pictures (sRGB in [0, 1]) as networks see them: channels first in [-1, 1], antialiased where they get smaller."""
    pictures = images.permute(0, 3, 1, 2)
    if pictures.shape[-2:] != (size, size):
        smaller = min(pictures.shape[-2:]) > size
        pictures = resize(pictures, (size, size), interpolation="bilinear", align_corners=False, antialias=smaller)
    return pictures * 2 - 1


def to_latents(
    codec: Codec, images: Float[Tensor, "batch height width 3"], size: int
) -> Float[Tensor, "batch channels rows columns"]:
    """Scaled latents of pictures (sRGB in [0, 1]) of any size; a learned autoencoder's posterior mode."""
    return codec.encode(signed(images, size)) * codec.scaling


def to_pictures(
    codec: Codec, latents: Float[Tensor, "batch channels rows columns"]
) -> Float[Tensor, "batch height width 3"]:
    """Pictures of scaled latents, not clamped."""
    return codec.decode(latents / codec.scaling).permute(0, 2, 3, 1) / 2 + 0.5


def _modern(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """VAE attention as current diffusers names and shapes it."""
    result = {}
    for name, tensor in tensors.items():
        *head, layer, kind = name.split(".")
        if "attentions" in head and layer in _OLD_VAE:
            name = ".".join([*head, _OLD_VAE[layer], kind])  # noqa: PLW2901
            tensor = tensor.flatten(1) if kind == "weight" else tensor  # noqa: PLW2901
        elif "attentions" in head and kind == "weight" and tensor.ndim == 4:  # noqa: PLR2004 (a 1x1 convolution)
            tensor = tensor.flatten(1)  # noqa: PLW2901
        result[name] = tensor
    return result
