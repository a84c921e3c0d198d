import math

import numpy as np
import pytest
import trimesh

from gen3d.cameras import Cameras
from gen3d_training.baselines import THICKNESS, extruded, sphere
from gen3d_training.metrics import chamfer, f_score, iou, nearest, occupancy
from gen3d_training.model import normalized
from gen3d_training.visual_hull import look_around

UNIT = np.full(3, -0.5), 1.0


def box(*extents, at=(0, 0, 0)):
    return trimesh.creation.box(extents, trimesh.transformations.translation_matrix(at))


def joined(*meshes):
    return trimesh.util.concatenate(meshes)


@pytest.fixture(scope="module")
def ball():
    return look_around(sphere())


@pytest.fixture(scope="module")
def block():
    return look_around(box(0.5, 0.5, 0.5))


def test_chamfer_of_two_points():
    a, b = np.array([[0.0, 0, 0]]), np.array([[0.0, 3, 4], [0, 0, 1]])
    assert chamfer(a, b) == (1 + (5 + 1) / 2) / 2
    assert chamfer(b, a) == chamfer(a, b)
    assert chamfer(b, b) == 0


def test_chamfer_of_concentric_spheres_is_the_gap():
    outer, inner = (trimesh.creation.icosphere(5, radius=r).vertices for r in (0.5, 0.4))
    assert chamfer(outer, inner) == pytest.approx(0.1, abs=1e-6)


def test_f_score_is_the_harmonic_mean_of_precision_and_recall():
    there, back = nearest(
        np.array([[0.0, 0, 0], [9, 0, 0]]), np.array([[0.0, 0, 0.1], [0, 0, -0.1], [0, 0, 4], [0, 7, 0]])
    )
    assert f_score(there, back, 0.2) == 0.5
    assert f_score(there, back, 5.0) == pytest.approx(2 * 0.5 * 0.75 / 1.25)
    assert f_score(there, back, 0.05) == 0


def test_iou_of_nothing_is_zero():
    empty = np.zeros((2, 2), dtype=bool)
    assert iou(empty, empty) == 0
    assert iou(~empty, empty) == 0
    assert iou(~empty, ~empty) == 1


def test_occupancy_of_offset_boxes():
    a = occupancy(box(0.5, 0.5, 0.5, at=(-0.125, 0, 0)), *UNIT)
    b = occupancy(box(0.5, 0.5, 0.5, at=(0.125, 0, 0)), *UNIT)
    assert a.sum() == b.sum() == 32**3
    assert iou(a, b) == pytest.approx(1 / 3)
    assert np.argwhere(a).min(axis=0).tolist() == [8, 16, 16]


def test_occupancy_has_the_axes_of_space():
    cells = occupancy(box(0.25, 0.5, 0.125, at=(0.25, -0.25, 0.3125)), *UNIT)
    corners = np.argwhere(cells).min(axis=0), np.argwhere(cells).max(axis=0)
    assert [corner.tolist() for corner in corners] == [[40, 0, 48], [55, 31, 55]]


def test_occupancy_of_a_ball_has_its_volume():
    assert occupancy(sphere(), *UNIT).mean() == pytest.approx(math.pi / 6, rel=0.01)


def test_occupancy_is_the_union_of_closed_parts_that_overlap_or_are_turned_inside_out():
    left, right = box(0.5, 0.5, 0.5, at=(-0.125, 0, 0)), box(0.5, 0.25, 0.25, at=(0.125, 0, 0))
    union = occupancy(left, *UNIT) | occupancy(right, *UNIT)
    np.testing.assert_array_equal(occupancy(joined(left, right), *UNIT), union)
    left.invert()
    right.invert()
    np.testing.assert_array_equal(occupancy(joined(left, right), *UNIT), union)


def test_a_missing_side_does_not_change_what_is_inside():
    whole = box(0.5, 0.5, 0.5)
    lid = whole.face_normals[:, 2] > 0.5
    opened = trimesh.Trimesh(whole.vertices, whole.faces[~lid], process=False)
    np.testing.assert_array_equal(occupancy(opened, *UNIT), occupancy(whole, *UNIT))


def test_hulls_of_convex_shapes_have_their_volume(ball, block):
    assert look_around(box(1, 1, 1)).hull.all()
    assert block.hull.mean() == pytest.approx(0.125, rel=0.04)  # 32 views leave a little at the sides
    assert ball.hull.mean() == pytest.approx(math.pi / 6, rel=0.02)


def test_a_hull_lies_where_its_mesh_does(block):
    hull = look_around(box(0.25, 0.5, 0.25, at=(0.25, -0.25, 0.375))).hull
    corners = np.argwhere(hull).min(axis=0), np.argwhere(hull).max(axis=0)
    np.testing.assert_allclose(corners, [[40, 0, 48], [55, 31, 63]], atol=1)
    assert iou(block.hull, block.hull) == 1


def test_hulls_of_offset_boxes(block):
    moved = look_around(box(0.5, 0.5, 0.5, at=(0.25, 0, 0)))
    assert iou(block.hull, moved.hull) == pytest.approx(1 / 3, abs=0.02)


def test_a_shell_without_a_lid_has_the_hull_of_the_whole(block):
    whole = box(0.5, 0.5, 0.5)
    opened = trimesh.Trimesh(whole.vertices, whole.faces[whole.face_normals[:, 2] < 0.5], process=False)
    assert iou(block.hull, look_around(opened).hull) > 0.99


def test_seen_points_lie_on_the_surface_evenly_and_never_inside():
    seen = look_around(joined(box(1, 1, 1), box(0.5, 0.5, 0.5)))
    np.testing.assert_allclose(np.abs(seen.points).max(axis=1), 0.5, atol=1e-6)
    counts = [(seen.points[:, axis] * sign > 0.4999).sum() for axis in range(3) for sign in (-1, 1)]
    np.testing.assert_allclose(counts, 101 * 101, rtol=0.05)


def test_seen_points_of_balls_are_apart_by_the_gap(ball):
    small = sphere()
    small.apply_scale(0.8)
    assert chamfer(ball.points, look_around(small).points) == pytest.approx(0.1, abs=0.002)


def silhouette():
    alpha = np.zeros((64, 64))
    alpha[10:50, 20:36] = 1  # 40 high, 16 wide
    return alpha


def test_extruded_silhouette_is_a_block_before_the_camera():
    mesh = extruded(silhouette(), np.eye(3))
    np.testing.assert_allclose(mesh.extents, [16, 40, THICKNESS * 16], rtol=1e-6)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(16 * 40 * THICKNESS * 16, rel=0.03)  # marching cubes blunt the edges


def test_extruded_silhouette_is_not_mirrored():
    alpha = silhouette()
    alpha[10:20, 36:46] = 1  # a flag at the top right
    mesh = normalized(extruded(alpha, np.eye(3)))
    places = mesh.triangles_center
    assert places[:, 1][places[:, 0] > 0.25].min() > 0.2


def test_extruded_silhouette_faces_the_camera_that_saw_it():
    alpha = silhouette()
    alpha[10:20, 36:46] = 1
    camera = Cameras.orbit(0.0, 0.3, 1.0, 1.0, 64).c2w[0, :3, :3].double().numpy()
    seen = normalized(extruded(alpha, camera)).vertices @ camera
    direct = normalized(extruded(alpha, np.eye(3))).vertices
    shape, expected = (np.ptp(places, axis=0) for places in (seen, direct))
    np.testing.assert_allclose(shape / shape.max(), expected / expected.max(), rtol=1e-4)
    # Seen from azimuth 0 the picture's right is +Y and its top +Z.
    tip = normalized(extruded(alpha, camera)).vertices
    assert tip[tip[:, 1] > 0.45 * np.ptp(tip[:, 1])][:, 2].min() > 0
