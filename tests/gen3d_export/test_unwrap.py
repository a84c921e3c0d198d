import numpy as np
import pytest
import trimesh

from gen3d_export.raster import rasterise
from gen3d_export.unwrap import smooth_normals, triangle_atlas, unwrap


@pytest.fixture(scope="module")
def sphere():
    return trimesh.creation.icosphere(subdivisions=3, radius=0.5)


def covered_twice(uv, faces, size=256):
    """Share of the charts' area that lies under another chart."""
    corners = uv[faces]
    area = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])).sum() / 2
    return 1 - len(rasterise(uv, faces, size).pixels) / size**2 / area


def test_charts_lie_in_the_picture_side_by_side(sphere):
    result = unwrap(sphere, 256)
    assert result.uv.min() >= 0
    assert result.uv.max() <= 1
    assert abs(covered_twice(result.uv, result.faces)) < 0.03
    assert len(rasterise(result.uv, result.faces, 256).pixels) > 0.4 * 256**2


def test_faces_keep_their_order_places_and_winding(sphere):
    result = unwrap(sphere, 256)
    np.testing.assert_allclose(result.vertices[result.faces], sphere.triangles)


def test_normals_do_not_know_of_seams(sphere):
    result = unwrap(sphere, 256)
    assert len(result.vertices) > len(sphere.vertices)
    angle = np.degrees(np.arccos((result.normals * result.vertices).sum(axis=1).clip(-0.5, 0.5) * 2))
    assert angle.max() < 2


def test_every_normal_is_of_unit_length():
    flap = trimesh.Trimesh(np.eye(3), [[0, 1, 2], [2, 1, 0]], process=False)
    assert np.linalg.norm(flap.vertex_normals) < 1e-9
    np.testing.assert_allclose(np.abs(smooth_normals(flap)), np.full((3, 3), 3**-0.5))


def test_texels_are_square_and_of_one_size(sphere):
    result = unwrap(sphere, 256)
    edges, places = result.uv[result.faces], result.vertices[result.faces]
    lengths = [np.linalg.norm(np.roll(c, 1, axis=1) - c, axis=-1) for c in (edges, places)]
    ratio = (lengths[0] / lengths[1]).ravel()
    assert np.percentile(ratio, 95) / np.percentile(ratio, 5) < 1.6


def test_charts_keep_their_distance(sphere):
    """Four texels at 1024: at 512, no point two texels off a chart belongs to another one."""
    result = unwrap(sphere, 512)
    texels = rasterise(result.uv, result.faces, 512)
    edge = trimesh.Trimesh(result.vertices, result.faces, process=False)
    chart = trimesh.graph.connected_component_labels(edge.face_adjacency, len(result.faces))
    picture = np.full(512 * 512, -1)
    picture[texels.pixels] = chart[texels.faces]
    picture = picture.reshape(512, 512)
    for one, other in ((picture[:-2], picture[2:]), (picture[:, :-2], picture[:, 2:])):
        both = (one >= 0) & (other >= 0)
        assert (one[both] == other[both]).all()


def test_edges_with_four_triangles_are_no_problem():
    boxes = [
        trimesh.creation.box(extents=[1, 1, 1], transform=trimesh.transformations.translation_matrix(t))
        for t in ([0, 0, 0], [1, 1, 0])
    ]
    touching = trimesh.Trimesh(*_joined(boxes), process=True)
    assert not touching.is_watertight
    result = unwrap(touching, 128)
    assert len(result.faces) == 24
    assert abs(covered_twice(result.uv, result.faces)) < 0.05
    np.testing.assert_allclose(result.vertices[result.faces], touching.triangles, atol=1e-6)


def _joined(meshes):
    first, second = meshes
    return np.concatenate([first.vertices, second.vertices]), np.concatenate(
        [first.faces, second.faces + len(first.vertices)]
    )


@pytest.mark.parametrize("count", [1, 2, 3, 200, 1280])
def test_the_atlas_of_triangles_has_room_for_each(count):
    source, faces, uv = triangle_atlas(count, 256)
    assert len(faces) == count
    assert uv.min() >= 0
    assert uv.max() <= 1
    np.testing.assert_array_equal(source, np.arange(3 * count))
    assert len(np.unique(rasterise(uv, faces, 256).faces)) == count
    assert abs(covered_twice(uv, faces, 512)) < 0.06


def test_where_xatlas_fails_every_triangle_gets_its_chart(sphere, monkeypatch, caplog):
    def fail(*_):
        msg = "out of ideas"
        raise RuntimeError(msg)

    monkeypatch.setattr("gen3d_export.unwrap._charts", fail)
    result = unwrap(sphere, 512)
    assert "out of ideas" in caplog.text
    np.testing.assert_allclose(result.vertices[result.faces], sphere.triangles)
    assert ((result.normals * result.vertices).sum(axis=1) > 0.49).all()
