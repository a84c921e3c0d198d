"""Pictures of an object from elsewhere, by the view prior alone: what Zero-1-to-3's demo shows."""

import math
import threading
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d import rng
from gen3d.cameras import Cameras
from gen3d.diffusion import classifier_free
from gen3d.guidance import Condition, Prior
from gen3d.picture import Picture
from gen3d.plugins import installed

RADIUS = 1.75
"""Where the embedded prior takes a prepared picture's camera to be; see the mini profile of zero123_sjc."""
_FOV = math.radians(49.1)
_STEPS, _SCALE = 25, 3.0
_STEEPEST = 89.0


@dataclass(frozen=True)
class Turn:
    """Where to look from, seen from the input picture.

    Args:
        azimuth_deg: to the right, counter-clockwise from above.
        elevation_deg: upwards.
        distance: further away, in lengths of the object's longest side.
    """

    azimuth_deg: float = 0.0
    elevation_deg: float = 0.0
    distance: float = 0.0


@torch.no_grad()
def sample(
    prior: Prior, condition: Condition, noise: Float[Tensor, "views channels rows columns"]
) -> Float[Tensor, "views height width 3"]:
    """Follow DDIM (Song et al. 2021, equation 12 with eta = 0) from noise to pictures in [0, 1].

    Args:
        prior: what predicts the noise.
        condition: one row for each picture.
        noise: latents to start from.
    """
    schedule, latents = prior.schedule, noise
    times = torch.arange(1, len(schedule), len(schedule) // _STEPS).flip(0).tolist()
    for time, following in pairwise([*times, 0]):
        t = torch.full((len(noise),), time, device=noise.device)
        told = prior.predict(latents, t, condition, ("unconditional", "conditional"))
        epsilon = classifier_free(told["unconditional"], told["conditional"], _SCALE)
        clean = schedule.to_clean(epsilon, latents, t)
        latents = schedule.add_noise(clean, epsilon, torch.full_like(t, following))
    return prior.decode(clean).clamp(0, 1)


class NewViews:
    """Draws new views; the weights load when the first is wanted.

    Args:
        weights: of the prior zero123.
        device: where it computes.
    """

    def __init__(self, weights: str = "mini", device: torch.device | str = "cpu") -> None:
        self.weights, self.device = weights, torch.device(device)
        self._prior: Prior | None = None
        self._one_at_a_time = threading.Lock()

    def draw(
        self, picture: Path, elevation_deg: float, turn: Turn, count: int = 3, seed: int = 0
    ) -> Float[Tensor, "count size size 3"]:
        """So many samples of the same view. Raises Gen3dError.

        Args:
            picture: of one object, cut out or on a plain background.
            elevation_deg: of the camera that took it.
            turn: where to look from.
            count: of samples: what the picture does not show can be guessed in more than one way.
            seed: of the noise.
        """
        with self._one_at_a_time:
            image = Picture.open(picture).image.to(self.device)
            prior = self._loaded()
            like = prior.encode(image[None])
            size = int(prior.decode(like).shape[1])
            elevation = max(-_STEEPEST, min(elevation_deg + turn.elevation_deg, _STEEPEST))
            azimuth = torch.full((count,), math.radians(turn.azimuth_deg))
            taken = Cameras.orbit(0.0, math.radians(elevation_deg), RADIUS, _FOV, size)
            wanted = Cameras.orbit(azimuth, math.radians(elevation), RADIUS + turn.distance, _FOV, size)
            condition = prior.condition(wanted.to(self.device), [(image, taken)])
            draw = rng.generator("new views", seed)
            noise = torch.randn((count, *like.shape[1:]), generator=draw).to(self.device)
            return sample(prior, condition, noise).cpu()

    def _loaded(self) -> Prior:
        if self._prior is None:
            prior: Prior = installed().registry.component("prior", "zero123").load()(weights=self.weights)
            prior.load(self.device)  # type: ignore[operator]
            self._prior = prior
        return self._prior
