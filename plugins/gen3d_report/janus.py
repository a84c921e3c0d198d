"""The Janus score: how much the sides and the back of an object look like its front.

A prior that has seen more fronts than backs gives an object several faces (the Janus problem). They show in the
object's own pictures: one from the side or from behind repeats the one from the front.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d import Cameras, Stage, Views

VIEWS, SIZE = 12, 64
HIGH = 0.7
"""From here on an object that should have one front is worth a look."""

_ELEVATION, _RADIUS, _FOV = math.radians(15), 1.75, math.radians(49.1)
_FAR_DEG = 60.0
_LEAST_NEAR = 0.5  # neighbours that share less are of a fine texture, which repeats nowhere by chance either
_PLAIN = 2.0 / 255  # contrast, root mean square over the object, below which there is nothing to compare
_PLAIN_LATENT = 0.05
_CLEAR, _EMPTY = 0.01, 0.001  # alpha below which a pixel is background; and, on average, a picture


@dataclass(frozen=True)
class Janus:
    """What the views around an object share with the one of its front.

    Args:
        score: 0 where nothing beyond 60 degrees repeats the front, 1 where a view there is as like it as neighbours.
        azimuth_deg: of the view that repeats it most.
        mirrored: whether that is so once the view is flipped left to right.
        near: mean likeness of the two neighbours of the front.
        likeness: of each of the 12 views, azimuth 0 first, the better of as it is and mirrored.
    """

    score: float
    azimuth_deg: float
    mirrored: bool
    near: float
    likeness: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """A plain object."""
        return asdict(self) | {"likeness": list(self.likeness)}


def measure(stage: Stage) -> Janus | None:
    """Of the stage's object, from 12 views around at an elevation of 15 degrees; None where `janus` gives None."""
    azimuths = torch.arange(VIEWS) * (2 * math.pi / VIEWS)
    cameras = Cameras.orbit(azimuths, _ELEVATION, _RADIUS, _FOV, SIZE).to(stage.device)
    step = stage.step(stage.steps - 1)
    with torch.no_grad():
        views: list[Views] = [
            stage.renderer(stage.representation, cameras[index], step, frozenset()) for index in range(VIEWS)
        ]
    image, alpha = (torch.cat([getattr(view, name) for view in views]).float().cpu() for name in ("image", "alpha"))
    return janus(image, alpha, _PLAIN if views[0].space == "rgb" else _PLAIN_LATENT)


def janus(
    image: Float[Tensor, "views height width channels"],
    alpha: Float[Tensor, "views height width 1"],
    plain: float = _PLAIN,
) -> Janus | None:
    """The score of views at equal angles around an object, the first of them its front.

    With the alpha-weighted colours u = alpha (c - m), c the object's own colour and m its mean over the view weighted
    by alpha, the likeness of two views is their normalised correlation <u, v> / (|u| |v|): what only one of them covers
    counts against it. Each view is compared with the front as it is and mirrored left to right, and the greater counts.
    The score is the greatest likeness of a view beyond 60 degrees of azimuth, divided by the mean likeness of the two
    neighbours of the front, or by 1/2 where that is more; within 0 and 1.

    An object that looks the same from all around, such as a bottle or a barrel, rightly scores high, and so does one
    whose colours only change with height: the score tells that the front repeats, not that it should not.

    Args:
        image: over a background of any one colour, which is taken off; latents will do.
        alpha: opacity.
        plain: contrast below which a view is of one colour.

    Returns:
        None where the front is of one colour or empty, or something is not finite: nothing can repeat.
    """
    if not (image.isfinite().all() and alpha.isfinite().all()):
        return None
    alpha = alpha.clamp(0, 1)
    clear = image[alpha[..., 0] < _CLEAR]
    own = image - (1 - alpha) * (clear.median(dim=0).values if len(clear) else 0.0)  # alpha c
    mean = own.sum((1, 2), keepdim=True) / alpha.sum((1, 2), keepdim=True).clamp_min(1e-6)
    weighted = own - alpha * mean
    least = plain * (image.shape[-1] * alpha.square().sum((1, 2, 3))).sqrt()
    norm = weighted.square().sum((1, 2, 3)).sqrt()
    if float(alpha[0].mean()) < _EMPTY or norm[0] <= least[0]:
        return None
    scale = (norm[0] * torch.maximum(norm, least)).clamp_min(1e-12)
    both = torch.stack([(weighted * front).sum((1, 2, 3)) / scale for front in (weighted[0], weighted[0].flip(1))])
    likeness, mirrored = both.max(dim=0)
    angles = 360.0 * torch.arange(len(image)) / len(image)
    far = (torch.minimum(angles, 360 - angles) > _FAR_DEG + 1e-3).nonzero().flatten()
    most = int(far[likeness[far].argmax()])
    near = float((likeness[1] + likeness[-1]) / 2)
    score = min(max(float(likeness[most]) / max(near, _LEAST_NEAR), 0.0), 1.0)
    shown = tuple(round(float(value), 4) for value in likeness)
    return Janus(round(score, 4), float(angles[most]), bool(mirrored[most]), round(near, 4), shown)
