"""Names for the colours of pictures."""

import torch
from jaxtyping import Float, Int
from kornia.color import rgb_to_hsv
from torch import Tensor
from torch.nn.functional import one_hot

COLORS = ("red", "orange", "brown", "yellow", "green", "cyan", "blue", "purple", "pink", "white", "gray", "black")

_HUES = (
    *((15, "red"), (42, "orange"), (68, "yellow"), (165, "green"), (195, "cyan")),
    *((258, "blue"), (300, "purple"), (345, "pink"), (360, "red")),
)
"""Names of hues, degrees, each up to where it ends."""

_GREY = 0.16
"""Saturation below which a colour has no hue."""

_DARK, _LIGHT = 0.22, 0.74
"""Brightness of black and of white."""

_BROWN = 0.68
"""Brightness below which orange is brown."""

_PURPLE = 0.6
"""Brightness below which pink is purple."""

_SHARE = 0.2
"""Of the covered pixels, what a colour must have to be named, unless it is the first."""


def main_colors(
    rgb: Float[Tensor, "batch height width 3"], alpha: Float[Tensor, "batch height width"]
) -> list[list[str]]:
    """The one or two colours that cover most of each picture, the first one first; none of an empty picture."""
    names = one_hot(color_index(rgb.flatten(1, 2)), len(COLORS)).float()
    shares = (names * alpha.flatten(1)[..., None]).sum(dim=1)
    shares /= shares.sum(dim=1, keepdim=True).clamp_min(1e-9)
    best, index = shares.topk(2, dim=1)
    least = torch.tensor([1e-6, _SHARE])
    return [
        [COLORS[i] for i, enough in zip(row, good, strict=True) if enough]
        for row, good in zip(index.tolist(), (best > least).tolist(), strict=True)
    ]


def color_index(rgb: Float[Tensor, "*batch 3"]) -> Int[Tensor, "*batch"]:
    """The place in COLORS of each sRGB colour in [0, 1]."""
    hue, saturation, value = rgb_to_hsv(rgb.reshape(-1, 3, 1, 1)).flatten(1).unbind(1)
    degrees = hue.rad2deg()
    ends = torch.tensor([float(end) for end, _ in _HUES])
    named = torch.tensor([COLORS.index(name) for _, name in _HUES])
    index = named[torch.bucketize(degrees % 360, ends, right=True).clamp_max(len(_HUES) - 1)]
    index = _where((index == COLORS.index("orange")) & (value < _BROWN), "brown", index)
    index = _where((index == COLORS.index("pink")) & (value < _PURPLE), "purple", index)
    index = _where(saturation < _GREY, "gray", index)
    index = _where((saturation < _GREY) & (value > _LIGHT), "white", index)
    return _where(value < _DARK, "black", index).view(rgb.shape[:-1])


def _where(condition: Tensor, name: str, otherwise: Tensor) -> Tensor:
    return torch.where(condition, COLORS.index(name), otherwise)
