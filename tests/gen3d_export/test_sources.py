import base64
import contextlib
import json
import struct

import numpy as np
import pytest
import trimesh
from PIL import Image

from gen3d.errors import BadInput
from gen3d_export.formats.glb import glb, write_glb
from gen3d_export.formats.obj import write_obj
from gen3d_export.formats.ply import write_ply
from gen3d_export.sources import about, read_source, unit_of
from small_asset import COLORS, SIDES, SIZE, box_body


@pytest.fixture(scope="module")
def body():
    return box_body(120, detail=True)


def ours(vectors):
    """From the file's frame to ours."""
    return vectors[..., [2, 0, 1]]


@pytest.mark.parametrize(("suffix", "write"), [("glb", write_glb), ("obj", write_obj), ("ply", write_ply)])
def test_what_is_written_is_read_again(tmp_path, body, suffix, write):
    path = tmp_path / f"box.{suffix}"
    write(path, "box", body)
    source = read_source(path)
    np.testing.assert_allclose(source.vertices[source.faces], ours(body.vertices[body.faces]), atol=1e-6)
    np.testing.assert_allclose(source.normals[source.faces], ours(body.normals[body.faces]), atol=1e-6)
    (material,) = source.materials
    if suffix == "ply":
        assert source.uv is None
        sides = np.array([normal for normal, _ in SIDES])
        side = (source.normals[source.faces[:, 0]] @ ours(sides).T).argmax(axis=1)
        srgb = trimesh.visual.color.linear_to_srgb(source.colors[source.faces[:, 0]]) * 255
        np.testing.assert_allclose(srgb, np.array(COLORS)[side], atol=0.6)
        return
    np.testing.assert_allclose(source.uv[source.faces], body.uv[body.faces], atol=1e-6)
    np.testing.assert_array_equal(material.base_color_map, body.maps.base_color)
    np.testing.assert_array_equal(material.metallic_roughness_map[..., 1:], body.maps.orm[..., 1:])
    np.testing.assert_array_equal(material.normal_map, body.maps.normal)
    assert (material.metallic, material.roughness) == (1, 1)


def test_stl_stands_on_its_z(tmp_path):
    trimesh.creation.box((1, 2, 3)).export(tmp_path / "box.stl")
    source = read_source(tmp_path / "box.stl")
    np.testing.assert_allclose(np.ptp(source.vertices, axis=0), [2, 1, 3])
    assert trimesh.Trimesh(source.vertices, source.faces).volume == pytest.approx(6)
    assert source.uv is None
    assert source.colors is None


def test_only_gltf_knows_its_unit(tmp_path):
    assert [unit_of(tmp_path / f"a.{suffix}") for suffix in ("glb", "GLTF", "obj", "stl")] == [1, 1, None, None]


def test_obj_materials_have_their_own_colours(tmp_path):
    (tmp_path / "two.mtl").write_text("newmtl red\nKd 1 0 0\nPm 1\nPr 0.3\nnewmtl grey\nKd 0.5 0.5 0.5\n")
    lines = ["mtllib two.mtl", *(f"v {x} {y} {z}" for x, y, z in np.eye(3)), "v 0 0 0"]
    (tmp_path / "two.obj").write_text("\n".join([*lines, "usemtl red", "f 1 2 3", "usemtl grey", "f 1 2 4", ""]))
    source = read_source(tmp_path / "two.obj")
    colors = {source.materials[index].base_color for index in source.material}
    assert len(source.faces) == 2
    grey = (0.5 + 0.055) / 1.055  # of sRGB
    np.testing.assert_allclose(sorted(colors), [(grey**2.4,) * 3, (1, 0, 0)], atol=0.004)
    assert {(material.metallic, material.roughness) for material in source.materials} == {(1, 0.3), (0, 0.9)}


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "C:\\textures\\secret.png", "missing.png"])
def test_pictures_elsewhere_are_left_out_and_said_to_be(tmp_path, caplog, name):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "secret.png")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.mtl").write_text(f"newmtl a\nKd 0.5 0.5 0.5\nmap_Kd {name}\n")
    vertices = "".join(f"v {x} {y} {z}\nvt {x} {y}\n" for x, y, z in np.eye(3))
    (folder / "a.obj").write_text(f"mtllib a.mtl\n{vertices}usemtl a\nf 1/1 2/2 3/3\n")
    (material,) = read_source(folder / "a.obj").materials
    assert material.base_color_map is None
    assert "it is left out" in caplog.text


def test_a_link_out_of_the_folder_is_not_followed(tmp_path, caplog):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "secret.png")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "a.mtl").write_text("newmtl a\nmap_Kd link.png\n")
    (folder / "a.obj").write_text("mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl a\nf 1/1 2/1 3/1\n")
    assert read_source(folder / "a.obj").materials[0].base_color_map is None
    assert "outside of its own folder" in caplog.text


def test_where_it_comes_from_is_kept(tmp_path, body):
    data = glb("box", body)
    path = tmp_path / "box.glb"
    path.write_bytes(data)
    assert about(path).keys() == {"file", "sha256", "generator"}
    tree = {"asset": {"version": "2.0", "copyright": "2026 Somebody, CC BY 4.0"}}
    (tmp_path / "box.gltf").write_text(json.dumps(tree))
    assert about(tmp_path / "box.gltf")["copyright"] == "2026 Somebody, CC BY 4.0"


@pytest.mark.parametrize("suffix", ["glb", "gltf", "obj", "ply", "stl"])
@pytest.mark.parametrize(
    "content", [b"", b"not a mesh at all", b"\x00" * 200, b"glTF\x02\x00\x00\x00", b"[]", b"{}", b"solid"]
)
def test_what_is_no_mesh_is_bad_input(tmp_path, suffix, content):
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadInput) as raised:
        read_source(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("write", [write_glb, write_obj, write_ply])
def test_cut_short_anywhere_it_is_bad_input_or_a_smaller_mesh(tmp_path, body, write):
    whole = tmp_path / f"whole.{write.__name__[-3:]}"
    write(whole, "box", body)
    data = whole.read_bytes()
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        path = tmp_path / f"cut{whole.suffix}"
        path.write_bytes(data[: int(share * len(data))])
        with contextlib.suppress(BadInput):
            source = read_source(path)
            assert whole.suffix == ".obj"  # text has no end that could be missed
            assert len(source.faces) < 12


@pytest.mark.parametrize("name", ["model.fbx", "model.blend", "model"])
def test_other_formats_are_refused_with_the_way_round(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(BadInput, match="is not read") as raised:
        read_source(tmp_path / name)
    assert "Blender" in raised.value.remedy


def test_what_is_not_there_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="No such file"):
        read_source(tmp_path / "none.glb")


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl"])
def test_numbers_that_are_none_are_bad_input(tmp_path, suffix):
    mesh = trimesh.creation.box((1, 1, 1))
    mesh.vertices[0, 0] = np.nan
    mesh.export(tmp_path / f"nan.{suffix}")
    with pytest.raises(BadInput, match=r"not finite|damaged"):
        read_source(tmp_path / f"nan.{suffix}")


def test_points_without_triangles_are_bad_input(tmp_path):
    trimesh.PointCloud(np.eye(3)).export(tmp_path / "points.ply")
    with pytest.raises(BadInput, match="no triangles"):
        read_source(tmp_path / "points.ply")


def test_the_box_is_as_large_as_it_is(tmp_path, body):
    data = glb("box", body)
    tree = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])
    binary = data[28 + struct.unpack_from("<I", data, 12)[0] :]
    tree["buffers"][0]["uri"] = f"data:application/octet-stream;base64,{base64.b64encode(binary).decode()}"
    (tmp_path / "box.gltf").write_text(json.dumps(tree))
    np.testing.assert_allclose(
        np.ptp(read_source(tmp_path / "box.gltf").vertices, axis=0), ours(np.array(SIZE)), atol=1e-6
    )
