"""Random training pairs: a pictured view and a view to make of the same object, altered alike."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d_training.dataset import ViewDataset, over_white

_USUAL = (math.radians(-15), math.radians(50))
_USUAL_SHARE = 0.7
"""People photograph objects from about eye level: so are most pictures of the pairs taken."""

Pair = tuple[Cameras, Tensor, Cameras, Tensor]
"""Cameras and pictures (sRGB in [0, 1]) of the sources, then of the targets."""


def draw_pairs(dataset: ViewDataset, count: int, rng: torch.Generator) -> Pair:
    """Distinct views of random objects, mirrored and recoloured (the same in both) half of the time."""
    objects = torch.randint(len(dataset), (count,), generator=rng)
    source, target = _views(dataset.elevation[objects], rng)
    mirror = torch.rand(count, generator=rng) < 0.5  # noqa: PLR2004 (a coin)
    color = _recolor(count, rng)
    cameras = [dataset.cameras(objects, views, mirror) for views in (source, target)]
    images = []
    for views in (source, target):
        rgba = dataset.pictures[objects, views].float() / 255
        rgba = torch.where(mirror[:, None, None, None], rgba.flip(2), rgba)
        rgb = torch.einsum("nij,nhwj->nhwi", color, rgba[..., :3]).clamp(0, 1)
        images.append(over_white(torch.cat([rgb, rgba[..., 3:]], dim=-1)))
    return cameras[0], images[0], cameras[1], images[1]


def _views(
    elevation: Float[Tensor, "batch views"], rng: torch.Generator
) -> tuple[Int[Tensor, " batch"], Int[Tensor, " batch"]]:
    usual = (elevation > _USUAL[0]) & (elevation < _USUAL[1])
    picky = torch.rand(len(elevation), generator=rng) < _USUAL_SHARE
    lot = torch.rand(elevation.shape, generator=rng)
    source = (lot + (usual & picky[:, None])).argmax(dim=1)
    lot = torch.rand(elevation.shape, generator=rng).scatter_(1, source[:, None], -1)
    return source, lot.argmax(dim=1)


def _recolor(count: int, rng: torch.Generator) -> Float[Tensor, "batch 3 3"]:
    """Half of the time the identity; else a rotation of hue about the grey axis, and a factor of brightness."""
    angle = torch.rand(count, generator=rng) * 2 * math.pi
    bright = 0.7 + 0.45 * torch.rand(count, generator=rng)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turn = cos * torch.eye(3) + sin * cross + (1 - cos) / 3
    plain = torch.rand(count, generator=rng) < 0.5  # noqa: PLR2004 (a coin)
    return torch.where(plain[:, None, None], torch.eye(3), turn * bright[:, None, None])
