"""What each pixel's ray meets in the input picture: geometry that a small network need not learn from examples.

Zero-1-to-3 gets the pose as a vector and learns what it does to pixels from millions of pictures. Here every pixel of
the view to make is told its ray, and the colours of the input picture along that ray's epipolar line (He et al. 2020,
"Epipolar Transformers"; Yu et al. 2021, pixelNeRF): where they are all background there is nothing, as a visual hull.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, pixel_unshuffle

from gen3d.cameras import Cameras

_REACH = 0.6
"""Points lie up to this far from where a ray passes the origin; objects have longest side 1."""

_FINE = 2
"""Samples along each side of a latent pixel."""

_RAY = 6


def epipolar_channels(points: int) -> int:
    """How many channels `epipolar_features` has; none for no points."""
    return _RAY + 3 * _FINE**2 * points if points else 0


def epipolar_features(
    pictures: Float[Tensor, "batch 3 height width"], sources: Cameras, targets: Cameras, points: int, size: int
) -> Float[Tensor, "batch channels size size"]:
    """Rays of the targets' pixels, and what the sources' pictures show along them.

    Args:
        pictures: the pictured views, background included.
        sources: their cameras, one for each target.
        targets: the views to make.
        points: looked up along each ray, the nearest first, at equal distances within what an object can reach.
        size: rows and columns of the result, those of a latent.
    """
    origins, directions = (_upright(rays, sources) for rays in targets.resized(size).rays())
    moment = torch.linalg.cross(origins, directions)
    rays = torch.cat([directions, moment], dim=-1).permute(0, 3, 1, 2)
    places = _project(_along(targets.resized(_FINE * size), points), sources)
    coarse = avg_pool2d(pictures, max(1, pictures.shape[-1] // (_FINE * size)))
    seen = grid_sample(coarse, places.flatten(2, 3), padding_mode="border", align_corners=False)
    seen = seen.unflatten(3, (-1, points)).movedim(4, 1).flatten(1, 2)
    return torch.cat([rays, pixel_unshuffle(seen, _FINE)], dim=1)


def _along(targets: Cameras, points: int) -> Float[Tensor, "batch height width points 3"]:
    """Points in the world around where each pixel's ray passes the origin."""
    origins, directions = (rays[:, :, :, None] for rays in targets.rays())
    nearest = -(origins * directions).sum(dim=-1, keepdim=True)
    offsets = torch.linspace(-_REACH, _REACH, points, device=origins.device)[:, None]
    return origins + (nearest + offsets) * directions


def _project(
    points: Float[Tensor, "batch height width points 3"], cameras: Cameras
) -> Float[Tensor, "batch height width points 2"]:
    """Where cameras show points: -1 to 1 across the picture, right and down."""
    local = torch.einsum("bhwpi,bij->bhwpj", points - cameras.position[:, None, None, None], cameras.c2w[:, :3, :3])
    scale = 1 / torch.tan(cameras.fov / 2)[:, None, None, None, None]
    return scale * local[..., :2] * local.new_tensor([1.0, -1.0]) / -local[..., 2:]


def _upright(vectors: Float[Tensor, "batch height width 3"], sources: Cameras) -> Float[Tensor, "batch height width 3"]:
    """Vectors in the frame that has the sources at azimuth 0 and +Z up."""
    cos, sin = torch.cos(sources.azimuth), torch.sin(sources.azimuth)
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    turn = torch.stack([cos, sin, zero, -sin, cos, zero, zero, zero, one], dim=-1).view(-1, 3, 3)
    return torch.einsum("bij,bhwj->bhwi", turn, vectors)
