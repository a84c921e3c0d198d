"""The Janus score on painted balls, against its formula, and on a field that is rendered."""

import math

import numpy as np
import pytest
import torch

from gen3d.testing import ToyRenderer, toy_stage
from gen3d_report.janus import HIGH, Janus, janus, measure
from reported import Faces

SIZE = 48


def ball(paint, views=12):
    """Orthographic views around a ball; `paint(azimuth, z)` gives its colours."""
    y, x = np.mgrid[1 - 1 / SIZE : -1 : -2 / SIZE, -1 + 1 / SIZE : 1 : 2 / SIZE]
    inside = x**2 + y**2 < 0.8
    depth = np.sqrt(np.where(inside, 0.8 - x**2 - y**2, 0))
    pictures = []
    for index in range(views):
        azimuth = np.arctan2(x, depth) + 2 * math.pi * index / views
        picture = np.ones((SIZE, SIZE, 3))
        picture[inside] = paint(np.remainder(azimuth + math.pi, 2 * math.pi) - math.pi, y)[inside]
        pictures.append(picture)
    alpha = np.broadcast_to(inside[..., None], (views, SIZE, SIZE, 1))
    return torch.tensor(np.stack(pictures), dtype=torch.float32), torch.tensor(alpha.copy(), dtype=torch.float32)


def face(azimuth, z, at=0.0, mirrored=False):
    """Two eyes of different size and a mouth that is awry, on skin."""
    a = np.remainder(azimuth - at + math.pi, 2 * math.pi) - math.pi
    a = -a if mirrored else a
    dark = (np.hypot(a - 0.4, z - 0.25) < 0.22) | (np.hypot(a + 0.4, z - 0.3) < 0.12)
    dark |= (np.abs(z + 0.3 + 0.2 * a) < 0.1) & (np.abs(a) < 0.6)
    return np.where(dark[..., None], [0.1, 0.1, 0.2], [0.9, 0.7, 0.5])


def faces(*angles, mirrored=()):
    def paint(azimuth, z):
        layers = [face(azimuth, z, math.radians(angle), angle in mirrored) for angle in angles]
        return np.minimum.reduce(layers)

    return janus(*ball(paint))


def test_one_front_scores_low_and_two_score_high():
    one, two = faces(0), faces(0, 180)
    assert one.score < 0.2
    assert one.likeness[0] == pytest.approx(1, abs=1e-4)
    assert two.score == 1
    assert (two.azimuth_deg, two.mirrored) == (180, False)
    assert two.likeness[6] == pytest.approx(1, abs=1e-3)


def test_a_face_at_the_side_is_found_where_it_is():
    assert faces(0, 120).azimuth_deg == 120
    assert faces(0, 240).azimuth_deg == 240
    assert min(faces(0, 120).score, faces(0, 240).score) > HIGH


def test_a_mirrored_face_counts_as_much():
    found = faces(0, 180, mirrored=(180,))
    assert (found.azimuth_deg, found.mirrored) == (180, True)
    assert found.score > HIGH
    assert faces(0, mirrored=(0,)).score < 0.2


def test_what_is_round_scores_high():
    stripes = janus(*ball(lambda azimuth, z: np.where((np.abs(z) < 0.3)[..., None], [0.2, 0.3, 0.8], [0.9] * 3)))
    assert stripes.score == 1
    assert stripes.near == pytest.approx(1, abs=1e-4)


def test_noise_that_nothing_repeats_scores_low():
    rng = np.random.default_rng(0)
    alpha = torch.ones(12, SIZE, SIZE, 1)
    found = janus(torch.tensor(rng.random((12, SIZE, SIZE, 3)), dtype=torch.float32), alpha)
    assert found.score < 0.2  # the neighbours share as little, and are not divided by


def test_the_score_is_its_formula():
    rng = np.random.default_rng(1)
    color, alpha = rng.random((12, 6, 5, 3)), rng.random((12, 6, 5, 1))
    alpha[:, 0] = 0
    image = alpha * color + (1 - alpha) * [0.2, 0.9, 0.4]
    mean = (alpha * color).sum((1, 2)) / alpha.sum((1, 2))
    u = alpha * (color - mean[:, None, None])
    unit = u / np.sqrt((u**2).sum((1, 2, 3), keepdims=True))
    likeness = [max((unit[0] * v).sum(), (unit[0] * v[:, ::-1]).sum()) for v in unit]
    far = {index: likeness[index] for index in range(3, 10)}
    most = max(far, key=far.get)
    found = janus(*(torch.tensor(layer, dtype=torch.float32) for layer in (image, alpha)))
    assert found.likeness == pytest.approx(likeness, abs=1e-4)
    assert found.azimuth_deg == 30 * most
    near = (likeness[1] + likeness[11]) / 2
    assert found.near == pytest.approx(near, abs=1e-4)
    assert found.score == pytest.approx(far[most] / max(near, 0.5), abs=1e-4)


def test_what_lies_behind_the_object_does_not_count():
    image, alpha = ball(face)
    assert janus(torch.where(alpha > 0, image, torch.tensor([0.1, 0.9, 0.3])), alpha) == janus(image, alpha)


@pytest.mark.parametrize("spoil", ["plain", "empty", "nan"])
def test_there_is_no_score_where_there_is_nothing_to_repeat(spoil):
    image, alpha = ball(face)
    if spoil == "plain":
        image = torch.full_like(image, 0.4)
    elif spoil == "empty":
        alpha = torch.zeros_like(alpha)
    else:
        image[3, 0, 0, 0] = torch.nan
    assert janus(image, alpha) is None


@pytest.mark.parametrize(("count", "high"), [(1, False), (2, True)])
def test_a_field_is_measured_through_its_renderer(count, high):
    stage = toy_stage({})
    stage.representation, stage.renderer = Faces(faces=count), ToyRenderer(samples=24)
    found = measure(stage)
    assert isinstance(found, Janus)
    assert (found.score >= HIGH) == high
    assert len(found.likeness) == 12
    if high:
        assert found.azimuth_deg == 180


def test_a_ball_of_one_colour_has_no_score():
    assert measure(toy_stage({})) is None
