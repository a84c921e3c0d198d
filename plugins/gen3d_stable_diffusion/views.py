"""What a prompt says about where a view is: front, side, back or overhead, and what it must not look like.

Azimuth 0 is the front. Angles in radians.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

DIRECTIONS = ("front", "side", "back", "overhead")
"""The words, in the order of all axes called "directions" here."""

_FRONT, _SIDE, _BACK, _OVERHEAD = range(4)


def binned(
    azimuth: Float[Tensor, " views"], elevation: Float[Tensor, " views"], front: float, back: float, overhead: float
) -> Float[Tensor, "views directions"]:
    """One direction for each view, as threestudio and ProlificDreamer have it: 1 at that one, 0 elsewhere.

    Args:
        azimuth: of the cameras, any turn.
        elevation: of the cameras.
        front: views nearer than this to azimuth 0 are front views.
        back: views nearer than this to the opposite are back views; what is neither is a side view.
        overhead: views above this elevation are overhead views, whatever their azimuth.
    """
    away = _away(azimuth)
    index = torch.full_like(away, _SIDE, dtype=torch.long)
    index[away < front] = _FRONT
    index[away > math.pi - back] = _BACK
    index[elevation > overhead] = _OVERHEAD
    return one_hot(index, len(DIRECTIONS)).to(azimuth)


def interpolated(
    azimuth: Float[Tensor, " views"], elevation: Float[Tensor, " views"], overhead: float
) -> Float[Tensor, "views directions"]:
    """Shares of the directions: linear from front to side and from side to back (stable-dreamfusion)."""
    quarters = _away(azimuth) / (math.pi / 2)
    front, back = (1 - quarters).clamp_min(0), (quarters - 1).clamp_min(0)
    level = torch.stack([front, 1 - front - back, back, torch.zeros_like(front)], dim=-1)
    above = one_hot(torch.full_like(azimuth, _OVERHEAD, dtype=torch.long), len(DIRECTIONS)).to(azimuth)
    return torch.where((elevation > overhead)[:, None], above, level)


def perp_neg_directions(
    azimuth: Float[Tensor, " views"], elevation: Float[Tensor, " views"], overhead: float
) -> tuple[Int[Tensor, "views 2"], Float[Tensor, "views 2"]]:
    """Perp-Neg's two negative directions for each view, and their weights (Armandpour et al. 2023, section 4).

    The weights are threestudio's shifted exponentials -(a exp(-b r) + c), where r falls from 1 to 0 from one direction
    to the next: 1 to 0 from front to side, whose negatives are front and side, and from side to back, whose negatives
    are side and front. Overhead views have none: their weights are 0.

    Returns:
        Places in DIRECTIONS, and weights, which are not positive.
    """
    quarters = _away(azimuth) / (math.pi / 2)
    before = quarters < 1
    share = torch.where(before, 1 - quarters, 2 - quarters)
    to_side = torch.stack([_fall(share, 4, -2.426), _fall(1 - share, 4, -2.426)], dim=-1)
    to_back = torch.stack([_fall(share, 1, -0.606), _fall(share, 1, 0.967)], dim=-1)
    index = torch.stack([~before, before], dim=-1).long()
    weights = torch.where(before[:, None], to_side, to_back)
    return index, -torch.where((elevation > overhead)[:, None], 0, weights)


def _away(azimuth: Float[Tensor, " views"]) -> Float[Tensor, " views"]:
    """The angle from the front, in [0, pi]."""
    return (torch.remainder(azimuth + math.pi, 2 * math.pi) - math.pi).abs()


def _fall(share: Float[Tensor, " views"], height: float, offset: float) -> Float[Tensor, " views"]:
    return height * torch.exp(-0.5 * share) + offset
