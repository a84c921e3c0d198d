"""A codec as priors offer it: to scaled latents and back, replayed as a CUDA graph where there is a gradient."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from gen3d.graphs import Graphs
from gen3d.weights.codecs import Autoencoder, Codec, signed, to_latents, to_pictures


class ReplayedCodec:
    """What `to_latents` and `to_pictures` do, faster on CUDA.

    Args:
        codec: the frozen network, or a rearrangement, which is as fast as it can be.
        size: side of its pictures, pixels.
        graphs: of the prior.
        recompute: whether what the gradient needs is computed a second time, rather than kept; then there is no replay.
    """

    def __init__(self, codec: Codec, size: int, graphs: Graphs, *, recompute: bool = False) -> None:
        self.codec, self.size, self.graphs = codec, size, graphs
        self._replays = isinstance(codec, Autoencoder) and not recompute
        if isinstance(codec, Autoencoder):
            vae: Any = codec.vae
            (vae.enable_gradient_checkpointing if recompute else vae.disable_gradient_checkpointing)()

    def encode(self, images: Float[Tensor, "batch rows columns 3"]) -> Float[Tensor, "batch channels height width"]:
        """Scaled latents of pictures (sRGB in [0, 1]) of any size."""
        if not self._replays:
            return to_latents(self.codec, images, self.size)
        pictures = signed(images, self.size)
        return self.graphs.differentiable("encode", self.codec.encode, pictures) * self.codec.scaling

    def decode(self, latents: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch rows columns 3"]:
        """Pictures of scaled latents, not clamped."""
        if not self._replays:
            return to_pictures(self.codec, latents)
        decoded = self.graphs.differentiable("decode", self.codec.decode, latents / self.codec.scaling)
        return decoded.permute(0, 2, 3, 1) / 2 + 0.5
