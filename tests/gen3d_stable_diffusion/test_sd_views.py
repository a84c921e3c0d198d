"""What prompts say about views, against the published programs' numbers."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from gen3d_stable_diffusion.views import DIRECTIONS, binned, interpolated, perp_neg_directions
from gen3d_stable_diffusion.wording import SUFFIX, worded

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sds_vsd" / "cameras.npz")
LEVEL = math.radians(60)


def _radians(name: str) -> torch.Tensor:
    return torch.from_numpy(GOLDEN[name]).deg2rad()


@pytest.mark.parametrize(("key", "width"), [("dir_ts_45_45_60", 45), ("dir_ts_30_30_60", 30)])
def test_bins_are_the_published_ones(key: str, width: float) -> None:
    """threestudio counts side, front, back, overhead. Rows on an edge of a bin went through degrees there."""
    azimuth, elevation = _radians("dir_azimuth"), _radians("dir_elevation")
    width = math.radians(width)
    ours = binned(azimuth, elevation, width, width, LEVEL)
    assert torch.equal(ours.sum(dim=1), torch.ones_like(azimuth))
    theirs = torch.tensor([DIRECTIONS.index(("side", "front", "back", "overhead")[i]) for i in GOLDEN[key]])
    away = torch.remainder(azimuth + math.pi, 2 * math.pi).sub(math.pi).abs()
    gaps = torch.stack([away - width, away - math.pi + width, elevation - LEVEL])
    clear = gaps.abs().amin(dim=0) > 1e-9
    assert clear.float().mean() > 0.6
    assert torch.equal(ours.argmax(dim=1)[clear], theirs[clear])


def test_interpolation_is_the_published_one() -> None:
    azimuth = _radians("interp_azimuth")
    shares = interpolated(azimuth, torch.zeros_like(azimuth), LEVEL)
    wanted = torch.from_numpy(GOLDEN["sdf_interp_front_side_back"])
    torch.testing.assert_close(shares[:, :3], wanted, atol=1e-12, rtol=0)
    assert not shares[:, 3].any()
    above = interpolated(azimuth, torch.full_like(azimuth, 1.1), LEVEL)
    assert torch.equal(above.argmax(dim=1), torch.full((len(azimuth),), 3))
    torch.testing.assert_close(above.sum(dim=1), torch.ones_like(azimuth))


def test_perp_neg_weights_are_the_published_ones() -> None:
    azimuth = _radians("interp_azimuth")
    index, weights = perp_neg_directions(azimuth, torch.zeros_like(azimuth), LEVEL)
    theirs = torch.tensor([[("side", "front", "back").index(DIRECTIONS[i]) for i in row] for row in index.tolist()])
    assert torch.equal(theirs, torch.from_numpy(GOLDEN["ts_perpneg_neg_index"]))
    torch.testing.assert_close(weights, torch.from_numpy(GOLDEN["ts_perpneg_neg_weight"]), atol=1e-12, rtol=0)
    assert (weights <= 0).all()


def test_overhead_views_have_no_negatives() -> None:
    _, weights = perp_neg_directions(torch.tensor([0.3, 2.0]), torch.tensor([1.2, 1.2]), LEVEL)
    assert not weights.any()


def test_a_view_does_not_depend_on_the_others() -> None:
    azimuth, elevation = _radians("dir_azimuth"), _radians("dir_elevation")
    order = torch.randperm(len(azimuth), generator=torch.Generator().manual_seed(0))
    for give in (lambda a, e: interpolated(a, e, LEVEL), lambda a, e: perp_neg_directions(a, e, LEVEL)[1]):
        assert torch.equal(give(azimuth, elevation)[order], give(azimuth[order], elevation[order]))


@pytest.mark.parametrize(("wording", "key"), [(SUFFIX, "ts_prompts_suffix"), ("{view} view of {prompt}", None)])
def test_wordings(wording: str, key: str | None) -> None:
    told = {worded(wording, "PROMPT", view) for view in DIRECTIONS}
    wanted = {f"{view} view of PROMPT" for view in DIRECTIONS} if key is None else set(GOLDEN[key].tolist())
    assert told == wanted
