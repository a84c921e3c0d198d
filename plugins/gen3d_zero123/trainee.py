"""A Zero-1-to-3 to be trained: built from a recipe's keys, with its loss."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d.cameras import Cameras
from gen3d.weights.codecs import PixelRearrange, signed
from gen3d.weights.pixels import DIFFUSION, clean_loss, noised, pixel_unet
from gen3d_zero123.encoders import PatchEncoder
from gen3d_zero123.epipolar import epipolar_channels
from gen3d_zero123.layout import save
from gen3d_zero123.networks import Networks, Null, Settings
from gen3d_zero123.pose import POSE_WIDTH, PoseDialect, relative_pose


class Trainee(nn.Module):
    """A small pixel-space Zero-1-to-3 with the loss it is trained by.

    No attention at the finest level; patch tokens; the pose beside the time, because a linear projection
    adds the same to every token, which steers nothing.

    Args:
        size: side of the pictures, pixels.
        block: side of the pixel blocks that become channels.
        channels: of the UNet's levels, multiples of 32.
        layers: residual blocks a level.
        patch: side of the picture encoder's patches, pixels.
        pose: components of the pose vector.
        epipolar: points along each pixel's ray that are looked up in the input picture.
        seed: of the initial weights.
        drop: probability of each of three drops: tokens alone, condition latent alone, both (section 3.3: 5 % each).
        unconditional: what dropped tokens become. "zeros" trains the very null that inference uses.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        block: int = 4,
        channels: tuple[int, ...] = (64, 128, 192),
        layers: int = 1,
        patch: int = 8,
        pose: PoseDialect = "radius_and_polar",
        epipolar: int = 8,
        seed: int = 0,
        drop: float = 0.05,
        unconditional: Null = "zeros",
    ) -> None:
        super().__init__()
        settings = Settings(pose, DIFFUSION, epipolar)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.networks = _networks(settings, size, block, channels, layers, patch)
        self.drop, self.null, self.schedule = drop, unconditional, settings.diffusion.schedule()

    @property
    def picture_size(self) -> int:
        """Side of the pictures it is trained on, pixels."""
        return self.networks.picture_size

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """The pose projection is trained faster than the rest (Zero-1-to-3: ten times)."""
        projection = list(self.networks.projection.parameters())
        rest = [*self.networks.unet.parameters(), *self.networks.encoder.parameters()]
        return {"networks": rest, "projection": projection}

    def forward(
        self,
        sources: Cameras,
        pictures: Float[Tensor, "batch height width 3"],
        targets: Cameras,
        images: Float[Tensor, "batch height width 3"],
        rng: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Weighted squared error of the denoised `images`, given `pictures` (both sRGB in [0, 1])."""
        nets = self.networks
        shown, wanted = (signed(batch, self.picture_size) for batch in (pictures, images))
        clean, latent = nets.codec.encode(wanted), nets.codec.encode(shown)
        clean = clean * nets.codec.scaling
        latent = nets.condition_latent(latent, shown, sources, targets)
        noisy, t = noised(clean, self.schedule, rng)
        pose = relative_pose(targets, sources, nets.settings.pose)
        tokens = nets.encoder(shown)
        drop_tokens, drop_latent = self._drops(len(images), rng)
        keep_tokens, keep_latent = ~drop_tokens, ~drop_latent
        if self.null == "trained":
            context = nets.context(tokens * keep_tokens[:, None, None], pose)
        else:
            context = nets.context(tokens, pose) * keep_tokens[:, None, None]
        label = pose * (keep_tokens | keep_latent)[:, None]
        output = nets(noisy, t, latent * keep_latent[:, None, None, None], context, label)
        return clean_loss(output, clean, t, self.schedule)

    def _drops(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Which samples lose their tokens, and which their condition latent."""
        draw = torch.rand(count, generator=rng)
        return draw < 2 * self.drop, (draw >= self.drop) & (draw < 3 * self.drop)

    def save(self, folder: Path, **about: Any) -> None:
        """Write the networks in the diffusers folder layout, replacing the folder at once."""
        save(self.networks, folder, **about)


def _networks(
    settings: Settings, size: int, block: int, channels: tuple[int, ...], layers: int, patch: int
) -> Networks:
    codec = PixelRearrange(block)
    width, pose = channels[-1], POSE_WIDTH[settings.pose]
    beside = codec.channels + epipolar_channels(settings.epipolar)
    unet = pixel_unet(codec, size, channels, layers, beside, pose)
    return Networks(unet, codec, PatchEncoder(size, patch, width), nn.Linear(width + pose, width), settings)
