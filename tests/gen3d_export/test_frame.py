import numpy as np

from gen3d_export.frame import to_gltf


def test_up_is_y_and_the_pictured_side_faces_z():
    front, up, left = np.eye(3)[0], np.eye(3)[2], np.eye(3)[1]
    np.testing.assert_array_equal(to_gltf(front), [0, 0, 1])
    np.testing.assert_array_equal(to_gltf(up), [0, 1, 0])
    np.testing.assert_array_equal(to_gltf(left), [1, 0, 0])


def test_handedness_and_lengths_are_kept():
    assert np.linalg.det(to_gltf(np.eye(3))) == 1
