import numpy as np
import pytest
import trimesh

from gen3d_export.visibility import drop_hidden, turned_to_light

box, ball = trimesh.creation.box, trimesh.creation.icosphere


def joined(*meshes):
    return trimesh.util.concatenate(meshes)


def moved(x=0.0, y=0.0, z=0.0):
    return trimesh.transformations.translation_matrix((x, y, z))


def test_inner_shells_go_and_nothing_is_opened():
    wall = ball(subdivisions=3, radius=0.9)
    wall.invert()
    mesh = drop_hidden(joined(ball(subdivisions=3), wall, ball(subdivisions=1, radius=0.1)))
    np.testing.assert_array_equal(mesh.triangles, ball(subdivisions=3).triangles)


def test_what_is_behind_bars_is_seen():
    across = np.linspace(-1, 1, 15)
    bars = [box((0.05, 0.05, 2), transform=moved(x, y)) for x in across for y in (-1, 1)]
    bars += [box((0.05, 0.05, 2), transform=moved(x, y)) for y in across for x in (-1, 1)]
    lids = [box((2.1, 2.1, 0.05), transform=moved(z=z)) for z in (-1, 1)]
    mesh = joined(*bars, *lids, ball(subdivisions=2, radius=0.3))
    assert drop_hidden(mesh) is mesh


def test_a_small_piece_outside_stays():
    mesh = joined(ball(subdivisions=3), ball(subdivisions=0, radius=0.002).apply_translation([0, 0, 1.01]))
    assert drop_hidden(mesh).body_count == 2


def test_a_card_is_seen():
    card = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 1, 2]], process=False)
    assert drop_hidden(card) is card


@pytest.mark.parametrize("inverted", [False, True])
def test_a_ball_with_a_hole_faces_outwards(inverted):
    whole = ball(subdivisions=3)
    mesh = trimesh.Trimesh(whole.vertices, whole.faces[whole.triangles_center[:, 2] > -0.8], process=False)
    if inverted:
        mesh.invert()
    turned = turned_to_light(mesh)
    assert ((turned.face_normals * turned.triangles_center).sum(axis=1) > 0.9).all()


def test_the_inside_of_a_bowl_stays_its_inside():
    whole = ball(subdivisions=3)
    outer = trimesh.Trimesh(whole.vertices, whole.faces[whole.triangles_center[:, 2] < 0], process=False)
    inner = outer.copy()
    inner.apply_scale(0.98)
    inner.invert()
    mesh = joined(outer, inner)
    np.testing.assert_array_equal(turned_to_light(mesh).faces, mesh.faces)


def test_loose_triangles_are_not_turned_by_chance():
    corners = np.random.default_rng(0).random((3000, 3))
    soup = trimesh.Trimesh(corners, np.arange(3000).reshape(-1, 3), process=False)
    assert (turned_to_light(soup).faces != soup.faces).any(axis=1).mean() < 0.1
