import numpy as np

from gen3d_export.texture import LINEAR, SRGB, look_up, reduced, to_linear, to_srgb


def test_srgb_and_back():
    values = np.linspace(0, 1, 256)
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, atol=1e-7)
    np.testing.assert_allclose(to_linear(np.array([0.5])), 0.21404114, atol=1e-7)
    np.testing.assert_array_equal(np.round(to_srgb(SRGB.astype(float)) * 255), np.arange(256))


def test_between_texels_and_around_the_border():
    picture = np.zeros((2, 4, 3), dtype=np.uint8)
    picture[0, 1], picture[1, 0] = 200, 100
    uv = np.array([[0.375, 0.75], [0.5, 0.75], [0.125, 0.25], [1.375, -0.25], [0.0, 0.25]])
    values = look_up(picture, uv, LINEAR)[:, 0] * 255
    np.testing.assert_allclose(values, [200, 100, 100, 200, 50], atol=1e-4)


def test_pictures_are_reduced_to_the_distance_of_lookups():
    picture = np.random.default_rng(0).integers(0, 255, (64, 32, 3), dtype=np.uint8)
    assert reduced(picture, 0.3) is picture
    assert reduced(picture, 1.9) is picture
    half = reduced(picture, 2.0)
    np.testing.assert_allclose(half, picture.reshape(32, 2, 16, 2, 3).mean(axis=(1, 3)), atol=0.51)
    assert reduced(picture, 1e9).shape == (2, 1, 3)
