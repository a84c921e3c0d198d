import numpy as np
import pytest
import trimesh

from gen3d.errors import BadInput
from gen3d_export.hulls import convex_hulls, hull_count

box, ball = trimesh.creation.box, trimesh.creation.icosphere
CARD = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]], process=False)


def an_l():
    arm = box((0.5, 0.5, 2), transform=trimesh.transformations.translation_matrix((0.75, 0, 0.75)))
    return trimesh.util.concatenate([box((2, 0.5, 0.5)), arm])


def within_limits(hulls):
    return all(
        len(hull.vertices) <= 64
        and len(hull.faces) <= 255
        and hull.is_watertight
        and hull.is_convex
        and hull.volume > 0
        for hull in hulls
    )


def test_none_is_none():
    assert convex_hulls(an_l(), "none") == []


def test_a_box_is_the_bounds():
    (hull,) = convex_hulls(an_l(), "box")
    np.testing.assert_allclose(hull.bounds, an_l().bounds)
    assert len(hull.faces) == 12


def test_one_hull_is_that_of_everything():
    (hull,) = convex_hulls(an_l(), "convex:1")
    assert hull.volume == pytest.approx(an_l().convex_hull.volume)


def test_a_round_hull_is_cut_to_what_engines_take():
    hulls = convex_hulls(ball(subdivisions=4), "convex:1")
    assert within_limits(hulls)
    assert 0.88 < hulls[0].volume / (4 / 3 * np.pi) < 1


def test_pieces_leave_the_hollow_free():
    hulls = convex_hulls(an_l(), "convex:4")
    assert 2 <= len(hulls) <= 4
    assert within_limits(hulls)
    assert sum(hull.volume for hull in hulls) == pytest.approx(0.875, rel=0.15)
    empty, full = [0, 0, 1], [[-0.8, 0, 0], [0.75, 0, 1.5]]
    assert not any(hull.contains([empty])[0] for hull in hulls)
    for point in full:
        assert any(hull.contains([point])[0] for hull in hulls)


@pytest.mark.parametrize("kind", ["box", "convex:1", "convex:4"])
def test_flat_things_get_thin_hulls(kind):
    hulls = convex_hulls(CARD, kind)
    assert within_limits(hulls)
    assert hulls[0].extents[2] < 0.05


def test_where_coacd_takes_too_long_one_hull_does(caplog):
    (hull,) = convex_hulls(an_l(), "convex:4", timeout=0.01)
    assert "CoACD failed (not done after 0 s)" in caplog.text
    assert hull.volume == pytest.approx(an_l().convex_hull.volume)


@pytest.mark.parametrize(("kind", "count"), [("none", 0), ("box", None), ("convex:1", 1), ("convex:64", 64)])
def test_kinds(kind, count):
    assert hull_count(kind) == count


@pytest.mark.parametrize("kind", ["", "convex", "convex:0", "convex:65", "convex:-1", "convex:x", "boxes", "convex:3 "])
def test_other_words_are_bad_input(kind):
    with pytest.raises(BadInput, match="collision is") as raised:
        convex_hulls(CARD, kind)
    assert "none, box, or convex:N with N hulls from 1 to 64" in raised.value.remedy
