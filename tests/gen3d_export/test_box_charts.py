import numpy as np
import pytest
import trimesh

from chart_map import chart_map, gutter
from gen3d_export.box_charts import box_atlas
from gen3d_export.edges import pieces

ball = trimesh.creation.icosphere(subdivisions=3)


def staircase():
    """A spiral that passes over itself three times."""
    angle, i = np.linspace(0, 6 * np.pi, 150), np.arange(149)
    rails = [np.stack([r * np.cos(angle), r * np.sin(angle), angle / 20], axis=-1) for r in (0.5, 1)]
    faces = np.concatenate([np.stack([i, i + 150, i + 1], -1), np.stack([i + 1, i + 150, i + 151], -1)])
    return trimesh.Trimesh(np.concatenate(rails), faces, process=False)


@pytest.mark.parametrize("mesh", [ball, staircase(), trimesh.creation.torus(1, 0.3)])
@pytest.mark.parametrize(("size", "padding"), [(256, 4), (512, 1), (512, 8)])
def test_charts_lie_side_by_side_with_their_padding(mesh, size, padding):
    source, faces, uv = box_atlas(mesh, size, padding)
    np.testing.assert_allclose(mesh.vertices[source][faces], mesh.triangles)
    chart, count = chart_map(uv, faces, size)
    assert count.max() == 1
    assert gutter(chart) >= padding
    assert uv.min() * size >= padding / 2 - 1e-6
    assert uv.max() * size <= size - padding / 2 + 1e-6
    assert (count > 0).mean() > 0.3


def test_a_ball_has_six_charts_none_of_them_mirrored():
    _, faces, uv = box_atlas(ball, 256, 2)
    assert pieces(faces, len(uv)).max() == 5
    corners = uv[faces]
    assert (np.linalg.det(corners[:, 1:] - corners[:, :1]) > 0).all()


def test_texels_are_square_and_of_nearly_one_size():
    _, faces, uv = box_atlas(ball, 256, 2)
    ratio = [np.linalg.norm(np.roll(c, 1, axis=1) - c, axis=-1) for c in (uv[faces], ball.triangles)]
    stretch = ratio[0] / ratio[1]
    assert stretch.max() / stretch.min() < 3**0.5 + 0.1  # the corners of the box


def test_a_soup_of_loose_triangles_has_a_chart_for_each():
    rng = np.random.default_rng(0)
    soup = trimesh.Trimesh(rng.random((900, 3)), np.arange(900).reshape(-1, 3), process=False)
    _, faces, uv = box_atlas(soup, 512, 2)
    assert pieces(faces, len(uv)).max() == 299
    assert gutter(chart_map(uv, faces, 512)[0]) >= 2


def test_too_many_charts_for_the_padding_are_refused():
    rng = np.random.default_rng(0)
    soup = trimesh.Trimesh(rng.random((900, 3)), np.arange(900).reshape(-1, 3), process=False)
    with pytest.raises(RuntimeError, match="300 charts do not fit with a padding of 8"):
        box_atlas(soup, 128, 8)
