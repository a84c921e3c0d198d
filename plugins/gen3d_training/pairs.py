"""Random training pairs: a pictured view and a view to make of the same object, altered alike."""

import math

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d_training.dataset import ViewDataset, over_white

_USUAL = (math.radians(-15), math.radians(50))
_USUAL_SHARE = 0.7
"""People photograph objects from about eye level: so are most pictures of the pairs taken."""

Pair = tuple[Cameras, Tensor, Cameras, Tensor]
"""Cameras and pictures (sRGB in [0, 1]) of the sources, then of the targets."""


class Pairs:
    """Pairs of views as training samples.

    Args:
        dataset: what they are drawn from.
    """

    def __init__(self, dataset: ViewDataset) -> None:
        self.dataset = dataset

    def draw(self, count: int, rng: torch.Generator) -> Pair:
        """What a trainee of pairs is called with."""
        return draw_pairs(self.dataset, count, rng)


def draw_pairs(dataset: ViewDataset, count: int, rng: torch.Generator) -> Pair:
    """Distinct views of random objects, mirrored and recoloured (the same in both) half of the time."""
    objects = torch.randint(len(dataset), (count,), generator=rng)
    source, target = _views(dataset.elevation[objects], rng)
    mirror = torch.rand(count, generator=rng) < 0.5  # noqa: PLR2004 (a coin)
    color, _ = recolor(count, 0.5, rng)
    cameras = [dataset.cameras(objects, views, mirror) for views in (source, target)]
    images = [over_white(altered(dataset.pictures[objects, views], mirror, color)) for views in (source, target)]
    return cameras[0], images[0], cameras[1], images[1]


def altered(
    pictures: UInt8[Tensor, "batch height width 4"], mirror: Bool[Tensor, " batch"], color: Float[Tensor, "batch 3 3"]
) -> Float[Tensor, "batch height width 4"]:
    """Pictures in [0, 1], some mirrored, their colours multiplied by a matrix."""
    rgba = pictures.float() / 255
    rgba = torch.where(mirror[:, None, None, None], rgba.flip(2), rgba)
    rgb = torch.einsum("nij,nhwj->nhwi", color, rgba[..., :3]).clamp(0, 1)
    return torch.cat([rgb, rgba[..., 3:]], dim=-1)


def _views(
    elevation: Float[Tensor, "batch views"], rng: torch.Generator
) -> tuple[Int[Tensor, " batch"], Int[Tensor, " batch"]]:
    usual = (elevation > _USUAL[0]) & (elevation < _USUAL[1])
    picky = torch.rand(len(elevation), generator=rng) < _USUAL_SHARE
    lot = torch.rand(elevation.shape, generator=rng)
    source = (lot + (usual & picky[:, None])).argmax(dim=1)
    lot = torch.rand(elevation.shape, generator=rng).scatter_(1, source[:, None], -1)
    return source, lot.argmax(dim=1)


def recolor(
    count: int, share: float, rng: torch.Generator
) -> tuple[Float[Tensor, "batch 3 3"], Bool[Tensor, " batch"]]:
    """For a share of them a rotation of hue about the grey axis, and a factor of brightness; else the identity.

    Returns:
        The matrices, and which of them change something.
    """
    angle = torch.rand(count, generator=rng) * 2 * math.pi
    bright = 0.7 + 0.45 * torch.rand(count, generator=rng)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turn = cos * torch.eye(3) + sin * cross + (1 - cos) / 3
    plain = torch.rand(count, generator=rng) < 1 - share
    return torch.where(plain[:, None, None], torch.eye(3), turn * bright[:, None, None]), ~plain
