import numpy as np
import pytest
import trimesh

from gen3d.errors import BadInput, Degenerate
from gen3d_export.source_mesh import SourceMesh
from gen3d_export.source_surface import source_surface

box, ball = trimesh.creation.box, trimesh.creation.icosphere


def source(mesh, split=True):
    """As files hold it: every corner a vertex of its own."""
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    if split:
        vertices, faces = vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3)
    return SourceMesh(vertices, faces, None, None, None, np.zeros(len(faces), dtype=int))


@pytest.mark.parametrize("scale", [0.01, 1.0, 1000.0])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_split_mesh_comes_out_closed_and_outwards(scale, inverted):
    mesh = ball(subdivisions=2, radius=scale)
    if inverted:
        mesh.invert()
    surface = source_surface(source(mesh))
    assert surface.is_watertight
    assert surface.volume == pytest.approx(ball(subdivisions=2, radius=scale).volume)


def test_a_piece_that_touches_and_is_inside_out_is_turned():
    other = box(transform=trimesh.transformations.translation_matrix((1, 1, 0)))
    other.invert()
    surface = source_surface(source(trimesh.util.concatenate([box(), other])))
    assert surface.is_watertight
    assert surface.volume == pytest.approx(2, abs=1e-3)


def test_what_is_inside_goes_and_buttons_stay():
    button = ball(subdivisions=1, radius=0.01).apply_translation([0, 0, 1.02])
    mesh = trimesh.util.concatenate([ball(subdivisions=3), ball(subdivisions=2, radius=0.5), button])
    surface = source_surface(source(mesh))
    assert surface.body_count == 2
    assert len(surface.faces) == 1280 + 80


def test_a_cloth_stays_open():
    cloth = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.2]], [[0, 1, 2], [0, 2, 3]], process=False)
    surface = source_surface(source(cloth))
    np.testing.assert_allclose(surface.triangles, cloth.triangles)


def test_nothing_is_an_error():
    with pytest.raises(Degenerate, match="empty: it has no triangles"):
        source_surface(
            source(trimesh.Trimesh(np.zeros((3, 3)), np.zeros((0, 3), dtype=int), process=False), split=False)
        )


def test_a_line_is_an_error():
    line = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2], [0, 1, 1]], process=False)
    with pytest.raises(Degenerate, match="none of its 2 triangles has an area"):
        source_surface(source(line))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_an_error(value):
    broken = box()
    vertices = np.array(broken.vertices)
    vertices[3, 1] = value
    with pytest.raises(BadInput, match="1 of the mesh's 8 vertices are not finite"):
        source_surface(source(trimesh.Trimesh(vertices, broken.faces, process=False), split=False))


def test_a_face_without_a_vertex_is_an_error():
    with pytest.raises(BadInput, match="names vertex 9 of 3"):
        source_surface(SourceMesh(np.eye(3), np.array([[0, 1, 9]]), None, None, None, np.zeros(1, dtype=int)))
