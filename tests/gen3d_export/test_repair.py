import numpy as np
import pytest
import trimesh

from gen3d_export.edges import pieces
from gen3d_export.repair import oriented, repair, weld

box, ball = trimesh.creation.box, trimesh.creation.icosphere


def moved(x=0.0, y=0.0, z=0.0):
    return trimesh.transformations.translation_matrix((x, y, z))


def joined(*meshes):
    return trimesh.util.concatenate(meshes)


def most_at_an_edge(mesh):
    """Faces at the busiest edge, before and after whoever reads the file has welded it."""
    welded = trimesh.Trimesh(mesh.vertices.astype(np.float32), mesh.faces, process=True)
    return [np.unique(np.sort(m.edges, axis=1), axis=0, return_counts=True)[1].max() for m in (mesh, welded)]


def voxels(solid):
    """The outer faces of cubes, welded: full of edges and corners at which cubes just touch."""
    quads = []
    padded = np.pad(solid, 1)
    for axis in range(3):
        u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        for side in (1, -1):
            low = np.argwhere(padded & ~np.roll(padded, -side, axis)) + np.eye(3)[axis] * (side > 0)
            quads.append(np.stack([low, low + u, low + u + v, low + v][::side], axis=1))
    corners = np.concatenate(quads)[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    return trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=True)


def test_what_is_right_stays_as_it_is():
    mesh = ball(subdivisions=2)
    fixed = repair(mesh)
    assert len(fixed.vertices) == len(mesh.vertices)
    np.testing.assert_array_equal(fixed.triangles, mesh.triangles)


def test_a_soup_is_welded_and_loses_copies_and_what_has_no_area():
    mesh = ball(subdivisions=2)
    corners = np.concatenate(
        [mesh.triangles, mesh.triangles[:7], np.zeros((3, 3, 3)), mesh.triangles[:2][:, [0, 0, 1]]]
    )
    fixed = repair(trimesh.Trimesh(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3), process=False))
    assert (len(fixed.vertices), len(fixed.faces)) == (len(mesh.vertices), len(mesh.faces))
    assert fixed.is_watertight


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
def test_welding_is_relative_to_the_size(scale):
    vertices, _ = weld(
        scale * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1e-9, 0, 0], [1e-3, 0, 0]]),
        np.array([[0, 1, 2], [3, 2, 4]]),
    )
    assert len(vertices) == 4


def test_faces_that_point_here_and_there_point_outwards():
    mesh = ball(subdivisions=3)
    turned = np.random.default_rng(0).random(len(mesh.faces)) < 0.3
    fixed = repair(
        trimesh.Trimesh(mesh.vertices, np.where(turned[:, None], mesh.faces[:, ::-1], mesh.faces), process=False)
    )
    assert fixed.is_winding_consistent
    assert fixed.volume == pytest.approx(mesh.volume)


def test_every_piece_that_is_inside_out_is_turned():
    inverted = box(transform=moved(3))
    inverted.invert()
    assert repair(joined(box(), inverted)).volume == pytest.approx(2)


def test_the_winding_of_most_wins_where_there_is_no_inside():
    grid = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0]], dtype=float)
    faces = oriented(np.array([[0, 1, 2], [0, 2, 3], [2, 1, 4]]))
    assert (trimesh.Trimesh(grid, faces, process=False).face_normals[:, 2] == 1).all()
    faces = oriented(np.array([[0, 1, 2], [0, 2, 3], [1, 2, 4]]))
    assert (trimesh.Trimesh(grid, faces, process=False).face_normals[:, 2] == 1).all()


@pytest.mark.parametrize("shift", [(1, 1, 0), (1, 1, 1)])
def test_boxes_that_touch_come_apart_and_stay_closed(shift):
    fixed = repair(joined(box(), box(transform=moved(*shift))))
    assert fixed.is_watertight
    assert fixed.body_count == 2
    assert most_at_an_edge(fixed) == [2, 2]
    assert fixed.volume == pytest.approx(2, abs=1e-3)
    assert (
        np.abs(
            np.sort(fixed.vertices, axis=0) - np.sort(joined(box(), box(transform=moved(*shift))).vertices, axis=0)
        ).max()
        < 1e-3
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_random_cubes_become_manifold_and_keep_their_volume(seed):
    """With edges at which the one surface that runs there twice cannot be cut: they are split."""
    solid = np.random.default_rng(seed).random((9, 9, 9)) < 0.4
    mesh = voxels(solid)
    assert not mesh.is_watertight
    fixed = repair(mesh)
    assert fixed.is_watertight
    assert fixed.is_winding_consistent
    assert most_at_an_edge(fixed) == [2, 2]
    assert fixed.volume == pytest.approx(solid.sum(), rel=0.01)


def test_a_fin_comes_off_a_body():
    fin = trimesh.Trimesh([[0.5, 0.5, -0.5], [0.5, 0.5, 0.5], [1, 1, 0]], [[0, 1, 2]], process=False)
    fixed = repair(joined(box(), fin))
    assert sorted(np.bincount(pieces(fixed.faces, len(fixed.vertices)))) == [1, 12]
    assert most_at_an_edge(fixed) == [2, 2]
    assert fixed.split(only_watertight=True)[0].volume == pytest.approx(1, abs=1e-3)


def test_a_random_soup_becomes_manifold():
    rng = np.random.default_rng(0)
    fixed = repair(trimesh.Trimesh(rng.random((400, 3)), rng.integers(0, 400, (1500, 3)), process=False))
    assert most_at_an_edge(fixed)[0] == 2
    assert 1480 < len(fixed.faces) < 1520


def test_both_sides_of_a_leaf_stay_apart():
    """Each with normals of its own; a tool that pairs them would fold one onto the other."""
    side = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]], process=False)
    back = side.copy()
    back.invert()
    fixed = repair(joined(side, back))
    piece = pieces(fixed.faces, len(fixed.vertices))
    assert len(fixed.faces) == 4
    assert piece.max() == 1
    for number in (0, 1):
        assert np.ptp(fixed.face_normals[piece == number], axis=0).max() == 0
    np.testing.assert_allclose(np.abs(fixed.vertex_normals[:, 2]), 1)


def test_a_moebius_strip_is_cut():
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rims = [
        np.stack(
            [
                (1 + w * np.cos(angle / 2)) * np.cos(angle),
                (1 + w * np.cos(angle / 2)) * np.sin(angle),
                w * np.sin(angle / 2),
            ],
            axis=-1,
        )
        for w in (-0.3, 0.3)
    ]
    i = np.arange(40)
    a, b, c, d = i, i + 40, np.where(i < 39, i + 1, 40), np.where(i < 39, i + 41, 0)
    fixed = repair(
        trimesh.Trimesh(
            np.concatenate(rims), np.concatenate([np.stack([a, b, c], -1), np.stack([c, b, d], -1)]), process=False
        )
    )
    assert len(fixed.faces) == 80
    assert fixed.is_winding_consistent


def test_nothing_stays_nothing():
    assert len(repair(trimesh.Trimesh(np.zeros((3, 3)), [[0, 1, 2]], process=False)).faces) == 0
    assert len(repair(trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int), process=False)).faces) == 0
