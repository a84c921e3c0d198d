import io
import json
import struct

import numpy as np
import pytest
import trimesh
from PIL import Image

from gen3d_export.asset import Body, Maps
from gen3d_export.formats.glb import glb, write_glb
from gen3d_export.formats.pictures import jpeg
from small_asset import COLORS, SIZE, box_asset, box_body


def chunks(data):
    """JSON and binary chunk, with every length of the container checked."""
    magic, version, total = struct.unpack_from("<4sII", data)
    assert (magic, version, total) == (b"glTF", 2, len(data))
    length, kind = struct.unpack_from("<I4s", data, 12)
    assert (kind, length % 4) == (b"JSON", 0)
    size, name = struct.unpack_from("<I4s", data, 20 + length)
    assert (name, size % 4, 28 + length + size) == (b"BIN\0", 0, total)
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def test_there_is_one_of_everything_and_every_factor_is_stated():
    tree, _ = chunks(glb("box", box_body()))
    (material,) = tree["materials"]
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert material["pbrMetallicRoughness"]["roughnessFactor"] == 0.9
    assert material["doubleSided"] is False
    assert tree["nodes"] == [{"name": "box", "mesh": 0}]
    assert tree["scenes"] == [{"nodes": [0]}]
    (primitive,) = tree["meshes"][0]["primitives"]
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "TEXCOORD_0"}
    assert [image["mimeType"] for image in tree["images"]] == ["image/png"]
    assert "extensionsUsed" not in tree


def test_one_picture_serves_occlusion_roughness_and_metal():
    tree, _ = chunks(glb("box", box_body(detail=True)))
    (material,) = tree["materials"]
    surface = material["pbrMetallicRoughness"]
    assert (surface["metallicFactor"], surface["roughnessFactor"]) == (1, 1)
    assert surface["metallicRoughnessTexture"] == material["occlusionTexture"]
    assert len(tree["images"]) == len(tree["textures"]) == 3
    assert "TANGENT" in tree["meshes"][0]["primitives"][0]["attributes"]


def test_another_program_reads_the_same_mesh(tmp_path):
    body = box_body(detail=True)
    write_glb(tmp_path / "box.glb", "box", body)
    (read,) = trimesh.load_scene(tmp_path / "box.glb", process=False).geometry.values()
    np.testing.assert_allclose(read.bounds, [[-0.1, 0, -0.3], [0.1, 0.4, 0.3]], atol=1e-6)
    np.testing.assert_array_equal(read.faces, body.faces)
    np.testing.assert_allclose(read.vertex_normals, body.normals, atol=1e-6)
    np.testing.assert_allclose(read.visual.uv, body.uv, atol=1e-6)
    assert read.volume == pytest.approx(np.prod(SIZE))
    material = read.visual.material
    np.testing.assert_array_equal(np.asarray(material.baseColorTexture), body.maps.base_color)
    np.testing.assert_array_equal(np.asarray(material.metallicRoughnessTexture), body.maps.orm)
    np.testing.assert_array_equal(np.asarray(material.normalTexture), body.maps.normal)
    read.unmerge_vertices()
    seen = read.visual.to_color().vertex_colors[::6, :3]  # the first corner of every other triangle: one a side
    np.testing.assert_allclose(seen, COLORS, atol=1)


def test_accessors_know_their_limits_and_views_what_they_are_for():
    tree, _ = chunks(glb("box", box_body()))
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    place = tree["accessors"][attributes["POSITION"]]
    np.testing.assert_allclose([place["min"], place["max"]], [[-0.1, 0, -0.3], [0.1, 0.4, 0.3]], atol=1e-6)
    targets = [view.get("target") for view in tree["bufferViews"]]
    assert sorted(map(str, targets)) == ["34962", "34962", "34962", "34963", "None"]  # None: the picture
    assert all(view["byteOffset"] % 4 == 0 for view in tree["bufferViews"])


@pytest.mark.parametrize(("count", "component"), [(65_535, 5123), (65_536, 5125)])
def test_indices_are_as_small_as_they_may_be(count, component):
    zeros = np.zeros((count, 3))
    faces = np.array([[0, 1, count - 1]])
    body = Body(zeros, faces, zeros, zeros[:, :2], None, Maps(np.zeros((1, 1, 3), dtype=np.uint8)))
    tree, data = chunks(glb("many", body))
    entry = tree["accessors"][tree["meshes"][0]["primitives"][0]["indices"]]
    assert entry["componentType"] == component
    start = tree["bufferViews"][entry["bufferView"]]["byteOffset"]
    dtype = {5123: "<u2", 5125: "<u4"}[component]
    assert np.frombuffer(data, dtype, 3, start).tolist() == [0, 1, count - 1]


def test_hulls_are_nodes_at_the_root_beside_the_mesh_or_alone():
    hull = box_asset(hulls=1).hulls[0]
    tree, _ = chunks(glb("box", box_body(), {"UCX_box_00": hull, "UCX_box_01": hull}))
    assert [node["name"] for node in tree["nodes"]] == ["box", "UCX_box_00", "UCX_box_01"]
    assert tree["scenes"][0]["nodes"] == [0, 1, 2]
    assert "material" not in tree["meshes"][1]["primitives"][0]
    tree, _ = chunks(glb("box", None, {"box_hull_00": hull}))
    assert [node["name"] for node in tree["nodes"]] == ["box_hull_00"]
    assert "materials" not in tree


def test_the_base_colour_may_be_a_jpeg():
    tree, data = chunks(glb("box", box_body(120, detail=True), base_color=jpeg))
    assert [image["mimeType"] for image in tree["images"]] == ["image/jpeg", "image/png", "image/png"]
    view = tree["bufferViews"][tree["images"][0]["bufferView"]]
    read = Image.open(io.BytesIO(data[view["byteOffset"] :][: view["byteLength"]]))
    middle = np.asarray(read)[30::60, 20::40].reshape(-1, 3)  # rows downwards: sides 3 to 5 first
    np.testing.assert_allclose(middle, COLORS[3:] + COLORS[:3], atol=8)
