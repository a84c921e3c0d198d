import json
import struct

import numpy as np
import pytest
import trimesh

from gen3d.errors import BadInput
from gen3d_export.files import staged, write_glb, write_obj, write_ply
from gen3d_export.unwrap import unwrap


@pytest.fixture(scope="module")
def egg():
    mesh = trimesh.creation.icosphere(subdivisions=2)
    mesh.apply_scale([1.0, 2.0, 3.0])
    return mesh


@pytest.fixture(scope="module")
def texture():
    return np.random.default_rng(0).random((64, 64, 3))


def gltf(path):
    data = path.read_bytes()
    return json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])


def test_glb_states_every_factor_and_has_one_of_everything(tmp_path, egg, texture):
    write_glb(tmp_path / "egg.glb", unwrap(egg, 64), texture, "egg")
    tree = gltf(tmp_path / "egg.glb")
    (material,) = tree["materials"]
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert material["pbrMetallicRoughness"]["roughnessFactor"] == 0.9
    assert material.get("doubleSided", False) is False
    assert tree["nodes"] == [{"name": "egg", "mesh": 0}]
    assert tree["scenes"] == [{"nodes": [0]}]
    (primitive,) = tree["meshes"][0]["primitives"]
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "TEXCOORD_0"}
    assert [image["mimeType"] for image in tree["images"]] == ["image/png"]
    assert "extensionsRequired" not in tree
    targets = [view.get("target") for view in tree["bufferViews"]]
    assert sorted(map(str, targets)) == ["34962", "34962", "34962", "34963", "None"]  # None: the picture


def test_glb_reads_back_with_its_texture_normals_and_axes(tmp_path, egg, texture):
    charted = unwrap(egg, 64)
    write_glb(tmp_path / "egg.glb", charted, texture, "egg")
    (read,) = trimesh.load_scene(tmp_path / "egg.glb", process=False).geometry.values()
    np.testing.assert_allclose(read.extents, [4, 6, 2], atol=1e-5)
    assert read.volume > 0
    picture = np.asarray(read.visual.material.baseColorTexture.convert("RGB")) / 255
    np.testing.assert_allclose(picture, texture, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(read.visual.uv, charted.uv, atol=1e-6)
    np.testing.assert_allclose(read.vertex_normals, charted.normals[:, [1, 2, 0]], atol=1e-5)


def test_obj_reads_back_and_is_opaque(tmp_path, egg, texture):
    charted = unwrap(egg, 64)
    write_obj(tmp_path / "egg.obj", charted, texture, "egg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["egg.mtl", "egg.obj", "egg.png"]
    words = [line.split()[0] for line in (tmp_path / "egg.mtl").read_text().splitlines()]
    assert "Tr" not in words
    assert {"Kd 1 1 1", "d 1", "map_Kd egg.png"} <= set((tmp_path / "egg.mtl").read_text().splitlines())
    read = trimesh.load_mesh(tmp_path / "egg.obj", process=False)
    np.testing.assert_allclose(read.extents, [4, 6, 2], atol=1e-4)
    np.testing.assert_allclose(read.triangles, charted.vertices[charted.faces][..., [1, 2, 0]], atol=1e-4)
    np.testing.assert_allclose(read.visual.uv[read.faces], charted.uv[charted.faces], atol=1e-4)
    np.testing.assert_allclose(np.asarray(read.visual.material.image) / 255, texture, atol=0.5 / 255 + 1e-6)


def test_ply_reads_back_with_colours_and_normals(tmp_path, egg):
    colors = np.random.default_rng(0).random((len(egg.vertices), 3))
    write_ply(tmp_path / "egg.ply", egg, colors)
    read = trimesh.load_mesh(tmp_path / "egg.ply", process=False)
    np.testing.assert_allclose(read.vertices, egg.vertices[:, [1, 2, 0]], atol=1e-6)
    np.testing.assert_array_equal(read.faces, egg.faces)
    np.testing.assert_allclose(read.visual.vertex_colors[:, :3] / 255, colors, atol=0.5 / 255 + 1e-6)
    assert b"property float nx" in (tmp_path / "egg.ply").read_bytes()


def test_files_appear_together(tmp_path):
    target = tmp_path / "new" / "asset"
    with staged(target) as folder:
        (folder / "a").write_text("1")
        (folder / "b").write_text("2")
        assert [path for path in target.iterdir() if path.is_file()] == []
    assert sorted(path.name for path in target.iterdir()) == ["a", "b"]


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_text("old")

    def fail():
        with staged(tmp_path) as folder:
            (folder / "a").write_text("half")
            msg = "disk full"
            raise OSError(msg)

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_a_directory_that_cannot_be_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write here"), staged(tmp_path / "file"):
        pass
