import numpy as np
import pytest
import torch

from gen3d_export.raster import rasterise

SQUARE = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
HALVES = np.array([[0, 1, 2], [0, 2, 3]])


@pytest.fixture
def fan():
    """200 triangles around random points, without gaps or overlaps."""
    rng = np.random.default_rng(0)
    angle = np.sort(rng.random(200)) * 2 * np.pi
    rim = 0.5 + np.stack([np.cos(angle), np.sin(angle)], axis=-1) * 0.48
    index = np.arange(200)
    return np.concatenate([rim, [[0.43, 0.56]]]), np.stack([index, (index + 1) % 200, np.full(200, 200)], axis=-1)


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_two_triangles_cover_a_square_without_gaps_or_doubles(size):
    texels = rasterise(SQUARE, HALVES, size)
    np.testing.assert_array_equal(texels.pixels, np.arange(size * size))


@pytest.mark.parametrize("winding", [[0, 1, 2], [2, 1, 0]])
def test_weights_reproduce_the_pixel_centre(winding):
    uv = np.array([[0.1, 0.2], [0.9, 0.3], [0.4, 0.8]])
    faces = np.array([winding])
    texels = rasterise(uv, faces, 50)
    row, column = np.divmod(texels.pixels, 50)
    centre = np.stack([(column + 0.5) / 50, 1 - (row + 0.5) / 50], axis=-1)
    np.testing.assert_allclose(texels.interpolate(uv, faces), centre, atol=1e-5)
    area = 0.5 * abs(np.linalg.det(uv[1:] - uv[0]))
    assert len(texels.pixels) / 2500 == pytest.approx(area, abs=0.01)


def test_faces_are_those_that_cover_the_pixel():
    texels = rasterise(SQUARE, HALVES, 8)
    row, column = np.divmod(texels.pixels, 8)
    below = column > 7 - row  # the diagonal runs from the lower left to the upper right
    above = column < 7 - row
    assert (texels.faces[below] == 0).all()
    assert (texels.faces[above] == 1).all()


def test_slivers_leave_no_hole(fan):
    """Every pixel whose centre lies in the polygon is covered, by a triangle that contains it, and no other is."""
    uv, faces = fan
    texels = rasterise(uv, faces, 80)
    rim = uv[:200]
    centres = np.stack(np.meshgrid(np.arange(80) + 0.5, 79.5 - np.arange(80)), axis=-1) / 80
    side = np.roll(rim, -1, axis=0) - rim
    ahead = centres[:, :, None] - rim
    distance = (side[:, 0] * ahead[..., 1] - side[:, 1] * ahead[..., 0]).min(axis=-1)
    covered = np.zeros((80, 80), dtype=bool)
    covered.flat[texels.pixels] = True
    assert covered[distance > 1e-9].all()
    assert not covered[distance < -1e-5].any()
    assert texels.weights.min() > -1e-5
    np.testing.assert_allclose(texels.weights.sum(axis=1), 1, atol=1e-6)


def test_triangles_without_area_cover_nothing():
    texels = rasterise(SQUARE, np.array([[0, 0, 2], [0, 1, 1]]), 8)
    assert len(texels.pixels) == 0


def test_what_lies_outside_of_the_picture_is_cut_off():
    texels = rasterise(SQUARE * 3 - 1, HALVES, 8)
    np.testing.assert_array_equal(texels.pixels, np.arange(64))


def test_bands_of_rows_are_the_whole(fan):
    whole = rasterise(*fan, 90)
    bands = [rasterise(*fan, 90, range(start, min(start + 32, 90))) for start in range(0, 90, 32)]
    for part in ("pixels", "faces", "weights"):
        np.testing.assert_array_equal(np.concatenate([getattr(band, part) for band in bands]), getattr(whole, part))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_covers_the_same(fan):
    here, there = rasterise(*fan, 500), rasterise(*fan, 500, device="cuda")
    np.testing.assert_array_equal(here.pixels, there.pixels)
    np.testing.assert_array_equal(here.faces, there.faces)
    np.testing.assert_allclose(here.weights, there.weights, atol=1e-6)
