import numpy as np
import pytest
import trimesh

from gen3d.errors import Unavailable
from gen3d_export.asset import Body, Maps
from gen3d_export.formats.glb import glb
from gen3d_export.formats.web import require, write_web
from gen3d_export.sources import read_source
from small_asset import COLORS, box_body


def test_draco_comes_back_as_the_box(tmp_path):
    pytest.importorskip("DracoPy")
    body = box_body(120, detail=True)
    write_web(tmp_path / "box.web.glb", "box", body, "draco")
    source = read_source(tmp_path / "box.web.glb")
    there = source.vertices[source.faces][..., [1, 2, 0]]  # our frame, as the file has it
    for ours, theirs in ((body.vertices[body.faces], there), (body.uv[body.faces], source.uv[source.faces])):
        order = [np.lexsort(rows.reshape(12, -1).round(3).T) for rows in (ours.mean(axis=1), theirs.mean(axis=1))]
        np.testing.assert_allclose(ours.mean(axis=1)[order[0]], theirs.mean(axis=1)[order[1]], atol=1e-3)
    (material,) = source.materials
    np.testing.assert_array_equal(material.metallic_roughness_map, body.maps.orm)
    np.testing.assert_allclose(material.base_color_map[30::60, 20::40].reshape(-1, 3), COLORS[3:] + COLORS[:3], atol=8)
    assert [path.name for path in tmp_path.iterdir()] == ["box.web.glb"]


def test_draco_is_smaller(tmp_path):
    pytest.importorskip("DracoPy")
    ball = trimesh.creation.icosphere(subdivisions=4)
    vertices = np.asarray(ball.vertices)
    flat = Maps(np.zeros((1, 1, 3), dtype=np.uint8))
    body = Body(vertices, np.asarray(ball.faces), vertices, vertices[:, :2] / 2 + 0.5, None, flat)
    write_web(tmp_path / "ball.web.glb", "ball", body, "draco")
    assert (tmp_path / "ball.web.glb").stat().st_size < 0.25 * len(glb("ball", body))


def test_without_dracopy_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "DracoPy", None)
    with pytest.raises(Unavailable, match="DracoPy") as raised:
        require("draco")
    assert "gen3d[draco]" in raised.value.remedy


def test_without_node_the_message_names_the_program(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unavailable, match="gltf-transform") as raised:
        require("meshopt")
    assert raised.value.exit_code == 3
    assert "npm install" in raised.value.remedy


def test_a_program_that_fails_is_an_error_with_its_words(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "gltf-transform"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho no luck >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    with pytest.raises(Unavailable, match="no luck"):
        write_web(tmp_path / "box.web.glb", "box", box_body(), "meshopt")
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
