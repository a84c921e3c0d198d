import numpy as np

from gen3d_export.bleed import bleed


def test_the_background_takes_the_nearest_colour():
    image, covered = np.full((9, 9, 3), np.nan), np.zeros((9, 9), dtype=bool)
    image[4, 1], image[4, 7] = [1, 0, 0], [0, 0, 1]
    covered[4, [1, 7]] = True
    filled = bleed(image, covered)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[:, :4], np.broadcast_to([1, 0, 0], (9, 4, 3)))
    np.testing.assert_array_equal(filled[:, 5:], np.broadcast_to([0, 0, 1], (9, 4, 3)))


def test_what_is_covered_stays():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    np.testing.assert_array_equal(bleed(image, np.ones((4, 4), dtype=bool)), image)
