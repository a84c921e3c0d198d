import numpy as np
import pytest
import trimesh

from chart_map import chart_map, gutter
from gen3d_export.unwrap import smooth_normals, triangle_atlas, unwrap


@pytest.fixture(scope="module")
def sphere():
    return trimesh.creation.icosphere(subdivisions=3, radius=0.5)


@pytest.mark.parametrize(("size", "padding"), [(256, 4), (512, 1), (512, 8)])
def test_charts_lie_side_by_side_with_their_padding(sphere, size, padding):
    result = unwrap(sphere, size, padding)
    chart, count = chart_map(result.uv, result.faces, size)
    assert count.max() == 1
    assert gutter(chart) >= padding
    assert result.uv.min() * size >= padding / 2
    assert result.uv.max() * size <= size - padding / 2
    assert (count > 0).mean() > 0.4


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


def test_edges_with_four_triangles_are_no_problem():
    boxes = [
        trimesh.creation.box(extents=[1, 1, 1], transform=trimesh.transformations.translation_matrix(t))
        for t in ([0, 0, 0], [1, 1, 0])
    ]
    touching = trimesh.Trimesh(*_joined(boxes), process=True)
    assert not touching.is_watertight
    result = unwrap(touching, 128)
    assert len(result.faces) == 24
    assert chart_map(result.uv, result.faces, 128)[1].max() == 1
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
    chart, covering = chart_map(uv, faces, 256)
    assert len(np.unique(chart)) == count + 1
    assert covering.max() == 1


def test_where_xatlas_fails_charts_are_plain(sphere, monkeypatch, caplog):
    def fail(*_):
        msg = "out of ideas"
        raise RuntimeError(msg)

    monkeypatch.setattr("gen3d_export.unwrap._charts", fail)
    result = unwrap(sphere, 512)
    assert "xatlas failed (out of ideas)" in caplog.text
    np.testing.assert_allclose(result.vertices[result.faces], sphere.triangles)
    assert ((result.normals * result.vertices).sum(axis=1) > 0.49).all()
    assert gutter(chart_map(result.uv, result.faces, 512)[0]) >= 2


def test_xatlas_is_stopped_when_it_takes_too_long(sphere, caplog):
    result = unwrap(sphere, 256, timeout=0.01)
    assert "not done after 0 s" in caplog.text
    np.testing.assert_allclose(result.vertices[result.faces], sphere.triangles)


def test_too_many_charts_for_a_small_picture_get_less_room(caplog):
    corners = np.random.default_rng(0).random((1500, 3))
    loose = trimesh.Trimesh(corners, np.arange(1500).reshape(-1, 3), process=False)
    result = unwrap(loose, 64, 8)
    assert "500 charts do not fit with a padding of 8" in caplog.text
    assert len(result.faces) == 500
    assert result.uv.min() >= 0
    assert result.uv.max() <= 1
