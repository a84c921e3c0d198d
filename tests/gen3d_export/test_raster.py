import numpy as np
import pytest

from gen3d_export.raster import rasterise

SQUARE = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
HALVES = np.array([[0, 1, 2], [0, 2, 3]])


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


def test_triangles_without_area_cover_nothing():
    texels = rasterise(SQUARE, np.array([[0, 0, 2], [0, 1, 1]]), 8)
    assert len(texels.pixels) == 0


def test_chunks_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    uv, faces = rng.random((90, 2)), np.arange(90).reshape(30, 3)
    whole = rasterise(uv, faces, 40)
    monkeypatch.setattr("gen3d_export.raster.CANDIDATES", 500)
    np.testing.assert_array_equal(rasterise(uv, faces, 40).faces, whole.faces)
