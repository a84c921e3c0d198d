"""Charts drawn on the texture, where the answer is countable."""

import numpy as np
import pytest

from gen3d_export.audit.atlas import WIDEST, Atlas

SIZE = 64
SQUARE = np.array([[0, 1, 2], [0, 2, 3]])


def sheet(*boxes, wraps=False):
    """Rectangles of texels, given as left, bottom, right and top, each a chart of its own."""
    uv, places = [], []
    for number, (left, bottom, right, top) in enumerate(boxes):
        corners = np.array([(left, bottom), (right, bottom), (right, top), (left, top)], dtype=float)
        uv.append(corners[SQUARE] / SIZE)
        places.append(np.concatenate([corners, np.full((4, 1), 100.0 * number)], axis=1)[SQUARE])
    return Atlas(np.concatenate(uv), np.concatenate(places), SIZE, SIZE, wraps)


@pytest.mark.parametrize("between", [0, 1, 2, 3, 7, 20])
def test_a_gap_is_the_texels_between_charts(between):
    assert sheet((10, 10, 20, 20), (20 + between, 10, 40 + between, 30)).gap() == between
    assert sheet((10, 10, 20, 20), (10, 20 + between, 20, 60)).gap() == between


def test_a_gap_across_corners_is_the_longer_way():
    """A mipmap's texel is a square of texels: it holds both corners only where it spans both distances."""
    assert sheet((10, 10, 20, 20), (23, 25, 30, 30)).gap() == 5


def test_one_chart_has_no_gap():
    assert sheet((10, 10, 20, 20)).gap() == WIDEST


def test_a_texture_that_repeats_brings_its_edges_together():
    boxes = (1, 10, 20, 20), (40, 10, 61, 20)
    assert sheet(*boxes).gap() == 20
    assert sheet(*boxes, wraps=True).gap() == 1 + 3


def test_texels_are_counted_once_for_each_triangle_over_them():
    labels, count = sheet((8, 8, 24, 24), (16, 16, 32, 32)).drawn
    assert (labels > 0).sum() == 2 * 256 - 64
    assert (count > 1).sum() == 64 - 8  # centres on the diagonal that two triangles share are in neither
    assert count.max() == 2


def test_neighbours_do_not_overlap():
    """A fan of slivers around a point, at angles at which rounding would show."""
    angle = np.linspace(0, 2 * np.pi, 200)
    rim = 32 + 30 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    uv = np.stack([np.full((199, 2), 31.7), rim[:-1], rim[1:]], axis=1) / SIZE
    drawn = Atlas(uv, np.concatenate([uv, np.zeros((199, 3, 1))], axis=-1), SIZE, SIZE, wraps=False).drawn
    assert drawn[1].max() == 1
    assert abs((drawn[0] > 0).sum() - np.pi * 900) < 40
    assert set(np.unique(drawn[0])) == {0, 1}
