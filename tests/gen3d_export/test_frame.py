import numpy as np
import pytest

from gen3d.errors import BadInput
from gen3d_export.frame import Frame, from_gltf, from_z_up, metres, to_gltf

CORNERS = np.array([[1.0, -2.0, 3.0], [2.0, 2.0, 5.0]])  # 1 deep, 4 wide, 2 high


def test_up_is_y_and_the_pictured_side_faces_z():
    front, up, left = np.eye(3)[0], np.eye(3)[2], np.eye(3)[1]
    np.testing.assert_array_equal(to_gltf(front), [0, 0, 1])
    np.testing.assert_array_equal(to_gltf(up), [0, 1, 0])
    np.testing.assert_array_equal(to_gltf(left), [1, 0, 0])


def test_handedness_and_lengths_are_kept():
    assert np.linalg.det(to_gltf(np.eye(3))) == 1
    assert np.linalg.det(from_z_up(np.eye(3))) == 1


def test_reading_undoes_writing():
    vectors = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(from_gltf(to_gltf(vectors)), vectors)


def test_what_stands_upright_elsewhere_stands_upright_here():
    np.testing.assert_array_equal(from_z_up(np.array([0.0, 0, 1])), [0, 0, 1])
    np.testing.assert_array_equal(from_z_up(np.array([0.0, -1, 0])), [1, 0, 0])  # its front


@pytest.mark.parametrize(
    ("pivot", "low"), [("bottom", [-0.5, 0, -0.125]), ("center", [-0.5, -0.25, -0.125]), ("keep", [-0.5, 0.75, 0.25])]
)
def test_the_pivot_is_at_the_origin_and_the_longest_side_is_a_metre(pivot, low):
    places = Frame.around(CORNERS, pivot).places(CORNERS)
    np.testing.assert_allclose(places[0], low)
    np.testing.assert_allclose(places[1] - places[0], [1, 0.5, 0.25])


def test_a_height_is_that_of_the_object():
    places = Frame.around(CORNERS, "bottom", height=0.3).places(CORNERS)
    np.testing.assert_allclose(places[:, 1], [0, 0.3])
    np.testing.assert_allclose(np.ptp(places, axis=0), [0.6, 0.3, 0.15])


def test_a_known_unit_is_kept_unless_there_is_a_height():
    np.testing.assert_allclose(Frame.around(CORNERS, unit=0.01).scale, 0.01)
    np.testing.assert_allclose(Frame.around(CORNERS, height=1.0, unit=0.01).scale, 0.5)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (0.3, 0.3),
        (2, 2.0),
        ("0.3m", 0.3),
        ("30 cm", 0.3),
        ("300mm", 0.3),
        ("1ft", 0.3048),
        ("12in", 0.3048),
        ("1e-1", 0.1),
    ],
)
def test_lengths_have_units(text, length):
    assert metres(text) == pytest.approx(length)


@pytest.mark.parametrize("text", ["0", "-1m", "1 mile", "m", "", "nan", "1e9", "1e-9m", "1.2.3m", 0])
def test_what_is_no_length_is_bad_input(text):
    with pytest.raises(BadInput, match="height is") as raised:
        metres(text)
    assert "30cm" in raised.value.remedy
