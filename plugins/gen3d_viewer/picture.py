"""One picture of the object as a person wants to see it, with distances, so that other things can stand before it."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from gen3d import Cameras, Prior, Stage, Step, Views

Kind = Literal["colors", "depth", "normals", "opacity"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FAR = 100.0
"""Distance of what is no object, world units."""

_LATENT = 8  # pixels that a decoder makes of one latent, each way
_LATENT_RANGE = 8.0  # of latents, from black to white
_CLEAR, _SOLID = 0.01, 0.5  # alpha below which a pixel is background, and above which it is the object
_NEAR, _REACH = 0.1, 0.7  # grey of the nearest point, and how much lighter the farthest is: it fades into the white


@dataclass(frozen=True)
class Picture:
    """What one camera sees.

    Args:
        pixels: sRGB over the renderer's background; depth in grey, near is dark; normals as 0.5 + 0.5 n in the world.
        distance: of the object along the camera's axis, world units; FAR where there is none.
    """

    pixels: UInt8[np.ndarray, "height width 3"]
    distance: Float[np.ndarray, "rows columns"]


@torch.no_grad()
def draw(stage: Stage, camera: Cameras, step: Step, kind: Kind) -> Picture:
    """Draw the stage's object, as it is, with the stage's renderer; without gradients nothing of either changes.

    Latents are decoded by the prior, where the stage has one. Raises what the renderer does where there is no object.
    """
    latent = getattr(stage.representation, "space", "rgb") == "latent"
    camera = camera.resized(*(max(side // (_LATENT if latent else 1), 1) for side in (camera.height, camera.width)))
    camera = camera.to(stage.device)
    offered = frozenset({"normal"}) & stage.renderer.offers
    views: Views = stage.renderer(
        stage.representation, camera, step, offered if kind == "normals" else frozenset[str]()
    )
    own = _own_depth(views)
    shown = {"colors": _colors, "depth": _grey, "normals": _normals, "opacity": _opacity}[kind]
    alpha, distance = views.alpha[0, ..., 0], own[0, ..., 0] * _along(camera)
    distance = torch.where((alpha > _SOLID) & distance.isfinite(), distance, FAR)
    return Picture(as_bytes(shown(views, stage))[0], distance.float().cpu().numpy())


def thumbnail(image: Float[Tensor, "height width channels"], longest: int = 64) -> UInt8[np.ndarray, "rows columns 3"]:
    """A small picture of one that the renderer has drawn anyway; latents in false colours."""
    channels = image.shape[-1]
    shown = image if channels == 3 else _false_colors(image)  # noqa: PLR2004 (red, green, blue)
    every = max(math.ceil(max(shown.shape[:2]) / longest), 1)
    return as_bytes(shown.detach()[None, ::every, ::every])[0]


def as_bytes(pictures: Float[Tensor, "views height width 3"]) -> UInt8[np.ndarray, "views height width 3"]:
    """For a screen."""
    finite = torch.nan_to_num(pictures.float(), nan=0.0, posinf=1.0, neginf=0.0).clamp(0, 1)
    return (255 * finite).round().to(torch.uint8).cpu().numpy()


def _colors(views: Views, stage: Stage) -> Float[Tensor, "1 height width 3"]:
    if views.space == "rgb":
        return views.color
    for guidance in stage.guidance.values():
        prior = getattr(guidance, "prior", None)
        if isinstance(prior, Prior):
            decoded: Tensor = prior.decode(views.image.movedim(-1, 1))
            return decoded
    large = interpolate(_false_colors(views.image).movedim(-1, 1), scale_factor=_LATENT)
    return large.movedim(1, -1)


def _false_colors(latents: Float[Tensor, "*batch height width channels"]) -> Float[Tensor, "*batch height width 3"]:
    channels = latents.shape[-1]
    return 0.5 + latents[..., [0, 1 % channels, 2 % channels]] / _LATENT_RANGE


def _grey(views: Views, _: Stage) -> Float[Tensor, "1 height width 3"]:
    own, alpha = _own_depth(views), views.alpha.clamp(0, 1)
    of_object = own[(alpha > _SOLID) & own.isfinite()].float().cpu().numpy()
    if not len(of_object):
        return torch.ones_like(own).expand(-1, -1, -1, 3)
    near, far = map(float, np.quantile(of_object, [0.02, 0.98]))
    share = ((own - near) / max(far - near, 1e-6)).clamp(0, 1)
    return (alpha * (_NEAR + _REACH * share) + 1 - alpha).expand(-1, -1, -1, 3)


def _normals(views: Views, _: Stage) -> Float[Tensor, "1 height width 3"]:
    if views.normal is None:
        return torch.ones_like(views.alpha).expand(-1, -1, -1, 3)
    return 0.5 * views.normal + 1 - 0.5 * views.alpha


def _opacity(views: Views, _: Stage) -> Float[Tensor, "1 height width 3"]:
    return views.alpha.expand(-1, -1, -1, 3)


def _own_depth(views: Views) -> Float[Tensor, "1 height width 1"]:
    """Along the ray, without what the renderer counts for the background: that is its own affair."""
    clear = views.depth[views.alpha < _CLEAR]
    background = clear.median() if len(clear) else views.depth.new_tensor(0.0)
    return (views.depth - (1 - views.alpha) * background) / views.alpha.clamp_min(_CLEAR)


def _along(camera: Cameras) -> Float[Tensor, "height width"]:
    """Cosine of the angle between each ray and the camera's axis."""
    _, directions = camera.rays()
    return -(directions[0] @ camera.c2w[0, :3, 2])
