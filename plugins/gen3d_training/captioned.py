"""Random captioned views: what a text-conditioned prior is trained on."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d_training.captions import Captions
from gen3d_training.colors import main_colors
from gen3d_training.dataset import ViewDataset, over_white
from gen3d_training.pairs import altered, recolor

_USUAL = (math.radians(-15), math.radians(70))
_USUAL_SHARE = 0.8
"""Distillation looks at an object from about there."""

_RECOLORED = 0.3
"""Share of the views in other colours than their object's, which then are named: so that words of colours are learnt,
and what colour a thing has where none is said."""


class CaptionedViews:
    """Views with their captions as training samples.

    Args:
        dataset: what they are drawn from.
        captions: of its objects.
    """

    def __init__(self, dataset: ViewDataset, captions: Captions) -> None:
        self.dataset, self.captions, self.weights = dataset, captions, captions.weights()

    def draw(self, count: int, rng: torch.Generator) -> tuple[Cameras, Tensor, list[str]]:
        """Views of objects drawn by `Captions.weights`, half of them mirrored: cameras, pictures over white, texts."""
        objects = torch.multinomial(self.weights, count, replacement=True, generator=rng)
        views = self._views(objects, rng)
        mirror = torch.rand(count, generator=rng) < 0.5  # noqa: PLR2004 (a coin)
        color, changed = recolor(count, _RECOLORED, rng)
        rgba = altered(self.dataset.pictures[objects, views], mirror, color)
        rows = zip(objects.tolist(), main_colors(rgba[..., :3], rgba[..., 3]), changed.tolist(), strict=True)
        texts = [self.captions.of(index, colors, rng, recolored=new) for index, colors, new in rows]
        return self.dataset.cameras(objects, views, mirror), over_white(rgba), texts

    def _views(self, objects: Int[Tensor, " batch"], rng: torch.Generator) -> Int[Tensor, " batch"]:
        elevation: Float[Tensor, "batch views"] = self.dataset.elevation[objects]
        usual = (elevation > _USUAL[0]) & (elevation < _USUAL[1])
        picky = torch.rand(len(objects), generator=rng) < _USUAL_SHARE
        lot = torch.rand(elevation.shape, generator=rng)
        return (lot + (usual & picky[:, None])).argmax(dim=1)
