"""Draw the object for people: colours, depth and normals as 8-bit pictures over white."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from gen3d import Cameras, Prior, RadianceField, Stage, Step, Views

ELEVATION = math.radians(15)
_RADIUS = 1.75  # from here an object of longest side 1 stays in the picture as it turns
_FOV = math.radians(49.1)
_LATENT = 8  # pixels that a decoder makes of one latent, each way
_PER_VOXEL, _LEAST = 1.5, 32  # pixels for the edge of a voxel; and for a picture, however coarse the field
_LATENT_RANGE = 8.0  # of latents, from black to white
_CLEAR, _SOLID = 0.01, 0.5  # alpha below which a pixel is background, and above which it is the object
_NEAR, _FAR = 0.1, 0.8  # grey of the nearest and the farthest point: it fades into the white

Pictures = UInt8[np.ndarray, "views height width 3"]


@dataclass(frozen=True)
class Drawing:
    """Pictures of some views.

    Args:
        color: sRGB; latents decoded, or in false colours where no prior is at hand.
        depth: grey, near is dark, white is background; one range over all views.
        normal: 0.5 + 0.5 n with n in the world; None where the renderer has none.
    """

    color: Pictures
    depth: Pictures
    normal: Pictures | None


def around(count: int, size: int, elevation: float = ELEVATION) -> Cameras:
    """Cameras all around the object at equal angles, the first on azimuth 0."""
    return Cameras.orbit(torch.arange(count) * (2 * math.pi / count), elevation, _RADIUS, _FOV, size)


def draw(stage: Stage, cameras: Cameras, step: Step | None = None, *, normals: bool = False) -> Drawing:
    """Draw the stage's object, as it is, one view after the other."""
    step = step or stage.step(stage.steps - 1)
    wanted = frozenset({"normal"}) & stage.renderer.offers if normals else frozenset()
    cameras = cameras.to(stage.device)
    with torch.no_grad():
        views = [_draw(stage, cameras[index], step, wanted) for index in range(len(cameras))]
    alpha, depth = (_all([getattr(view, name) for view in views], cameras) for name in ("alpha", "depth"))
    shades = _depth(depth, alpha.clamp(0, 1))
    normal = [0.5 * view.normal + 1 - 0.5 * view.alpha for view in views if view.normal is not None]
    color = torch.cat([_colors(view, stage, cameras) for view in views])
    return Drawing(_bytes(color), _bytes(shades), _bytes(_all(normal, cameras)) if normal else None)


def _draw(stage: Stage, camera: Cameras, step: Step, wanted: frozenset[str]) -> Views:
    size = min(camera.height, _useful_height(stage, camera))
    camera = camera.resized(size, round(size * camera.width / camera.height))
    view = stage.renderer(stage.representation, camera, step, wanted)
    assert isinstance(view, Views)
    return view


def _useful_height(stage: Stage, camera: Cameras) -> int:
    """The picture height beyond which there is nothing more to see: enlarging is cheaper than rays."""
    field = stage.representation
    if not isinstance(field, RadianceField):
        return camera.height
    if field.space == "latent":
        return max(camera.height // _LATENT, 1)
    world = 2 * float(camera.radius) * math.tan(float(camera.fov) / 2)  # height of the picture at the object
    return max(math.ceil(_PER_VOXEL * world / field.voxel_size), _LEAST)


def _colors(view: Views, stage: Stage, cameras: Cameras) -> Float[Tensor, "views height width 3"]:
    if view.space == "rgb":
        return _resized(view.color, cameras)
    for guidance in stage.guidance.values():
        prior = getattr(guidance, "prior", None)
        if isinstance(prior, Prior):
            return _resized(prior.decode(view.image.movedim(-1, 1)), cameras)
    channels = view.image.shape[-1]
    return _resized(0.5 + view.image[..., [0, 1 % channels, 2 % channels]] / _LATENT_RANGE, cameras)


def _depth(
    depth: Float[Tensor, "views height width 1"], alpha: Float[Tensor, "views height width 1"]
) -> Float[Tensor, "views height width 3"]:
    clear = depth[alpha < _CLEAR]
    background = clear.median() if len(clear) else depth.new_tensor(0.0)
    # What a renderer counts for the background is its own affair: take it off.
    own = (depth - (1 - alpha) * background) / alpha.clamp_min(_CLEAR)
    of_object = own[(alpha > _SOLID) & own.isfinite()]
    if not len(of_object):
        return torch.ones(*depth.shape[:3], 3)
    near, far = map(float, np.quantile(of_object.numpy(), [0.02, 0.98]))
    share = ((own - near) / max(far - near, 1e-6)).clamp(0, 1)
    return (alpha * (_NEAR + (_FAR - _NEAR) * share) + 1 - alpha).expand(-1, -1, -1, 3)


def _all(pictures: list[Tensor], cameras: Cameras) -> Float[Tensor, "views height width channels"]:
    return torch.cat([_resized(picture, cameras) for picture in pictures])


def _resized(
    pictures: Float[Tensor, "views rows columns channels"], cameras: Cameras
) -> Float[Tensor, "views height width channels"]:
    """On the CPU, at the size of the cameras."""
    pictures, size = pictures.detach().float().cpu(), (cameras.height, cameras.width)
    if pictures.shape[1:3] == size:
        return pictures
    return interpolate(pictures.movedim(-1, 1), size, mode="bilinear", antialias=True).movedim(1, -1)


def _bytes(pictures: Float[Tensor, "views height width 3"]) -> Pictures:
    finite = torch.nan_to_num(pictures, nan=0.0, posinf=1.0, neginf=0.0).clamp(0, 1)
    return (255 * finite).round().to(torch.uint8).numpy()
