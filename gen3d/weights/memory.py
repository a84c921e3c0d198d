"""What frozen latent diffusion networks take of a GPU, at two bytes a number.

The figures are counted from what the stock networks, at their published shapes, keep for a gradient; all of them grow
with the number of pixels.
"""

from dataclasses import dataclass

from gen3d.memory import Memory, Saving, Scene

ENCODING, ENCODING_TWICE, DECODING = 1.48, 0.6, 2.78
"""GiB for the gradient by a picture of 512 x 512: of the encoder, of the encoder that recomputes, of the decoder."""

LEARNING = 0.72
"""GiB for the gradient of an adapter at a latent of 64 x 64."""

ASKING = 0.12
"""GiB that a call without gradient works in, for each latent of 64 x 64."""

WORKING = 0.5
"""GiB that codecs work in beside what they keep, at 512 x 512."""

SAVINGS = (Saving("graphs", value=False, cost=2), Saving("recompute", value=True, cost=2))
"""The keys of a prior."""


@dataclass(frozen=True)
class Networks:
    """How large they are.

    Args:
        weights: GiB of all of them.
        pixels: side of the pictures.
        latents: side of the latents.
        codec: whether there is a network that makes one of the other.
    """

    weights: float
    pixels: int = 512
    latents: int = 64
    codec: bool = True


def memory(
    networks: Networks, name: str, scene: Scene, rows: int, *, learns: bool, graphs: bool, recompute: bool
) -> Memory:
    """What a prior takes.

    Args:
        networks: its own.
        name: what identifies them.
        scene: what a step is about.
        rows: of a view in one call.
        learns: whether an adapter is trained.
        graphs: the prior's key.
        recompute: the prior's key.
    """
    pictures, latents = (networks.pixels / 512) ** 2, (networks.latents / 64) ** 2
    if getattr(scene.field, "space", "rgb") == "rgb":
        coding = pictures * scene.views * ((ENCODING_TWICE if recompute else ENCODING) + WORKING)
    else:
        coding = pictures * (DECODING + WORKING)  # of the input picture's view, where anything is compared with it
    coding *= networks.codec
    asking, learning = latents * scene.views * rows * ASKING, latents * scene.views * LEARNING * learns
    weights = {name: networks.weights}
    if graphs:  # each keeps what it works in
        return Memory(weights, kept=asking + learning + coding * (not recompute), step=coding * recompute)
    return Memory(weights, step=coding + asking, after=learning)
