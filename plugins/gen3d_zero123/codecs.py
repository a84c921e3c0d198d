"""What turns pictures into the latents a network works on: a learned autoencoder, or a rearrangement of pixels."""

from typing import Any, cast

from diffusers import AutoencoderKL
from diffusers.configuration_utils import ConfigMixin, register_to_config
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle


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
    """A stock AutoencoderKL, with the posterior's mode as the latent (Zero-1-to-3 conditions on it, unscaled).

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
