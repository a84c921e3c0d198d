import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from gen3d.errors import BadInput, Unavailable
from gen3d_export.sources import read_source

HALF = np.sqrt(0.5)
TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4")
COMPONENTS = {"f4": 5126, "u1": 5121, "u2": 5123, "u4": 5125, "i1": 5120, "i2": 5122}


class Tree:
    """A .gltf file, piece by piece."""

    def __init__(self):
        self.tree = {"asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "scene": 0, "nodes": [{"mesh": 0}]}
        self.tree |= {"meshes": [{"primitives": [{"attributes": {}}]}]}
        self.tree |= {key: [] for key in ("accessors", "bufferViews", "buffers", "materials", "textures", "images")}

    def view(self, data, **more):
        uri = f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"
        self.tree["buffers"].append({"byteLength": len(data), "uri": uri})
        self.tree["bufferViews"].append({"buffer": len(self.tree["buffers"]) - 1, "byteLength": len(data), **more})
        return len(self.tree["bufferViews"]) - 1

    def accessor(self, values, **more):
        values = np.asarray(values)
        width = 1 if values.ndim == 1 else values.shape[1]
        kind = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}[width]
        entry = {"bufferView": self.view(values.tobytes()), "componentType": COMPONENTS[values.dtype.str[1:]]}
        self.tree["accessors"].append({**entry, "count": len(values), "type": kind, **more})
        return len(self.tree["accessors"]) - 1

    def mesh(self, vertices=TRIANGLE, faces=None, **attributes):
        primitive = self.tree["meshes"][0]["primitives"][0]
        primitive["attributes"]["POSITION"] = self.accessor(vertices)
        for key, values in attributes.items():
            primitive["attributes"][key] = self.accessor(values)
        if faces is not None:
            primitive["indices"] = self.accessor(np.asarray(faces, dtype="<u2"))
        return primitive

    def picture(self, color, **texture):
        stream = io.BytesIO()
        Image.new("RGB", (2, 2), color).save(stream, "PNG")
        self.tree["images"].append({"bufferView": self.view(stream.getvalue()), "mimeType": "image/png"})
        self.tree["textures"].append({"source": len(self.tree["images"]) - 1, **texture})
        return len(self.tree["textures"]) - 1

    def read(self, folder):
        path = folder / "file.gltf"
        path.write_text(json.dumps({key: value for key, value in self.tree.items() if value or key == "scene"}))
        return read_source(path)


@pytest.fixture
def tree():
    return Tree()


def places(source):
    """Corners of the triangles as the file has them: +Y up."""
    return source.vertices[source.faces][..., [1, 2, 0]]


def test_nodes_place_their_meshes_and_may_share_them(tree, tmp_path):
    tree.mesh(NORMAL=np.tile(np.array([0, 0, 1], dtype="<f4"), (3, 1)))
    turned = {"rotation": [0, 0, HALF, HALF], "scale": [2, 1, 1], "mesh": 0}  # 90 degrees about Z
    tree.tree["nodes"] = [{"translation": [0, 0, 5], "children": [1, 2]}, turned, {"mesh": 0}]
    first, second = places(tree.read(tmp_path))
    np.testing.assert_allclose(first, [[0, 0, 5], [0, 2, 5], [-1, 0, 5]], atol=1e-6)
    np.testing.assert_allclose(second, TRIANGLE + np.array([0, 0, 5]), atol=1e-6)


def test_a_matrix_is_read_by_columns_and_a_mirror_keeps_the_outside(tree, tmp_path):
    tree.mesh(NORMAL=np.tile(np.array([0, 0, 1], dtype="<f4"), (3, 1)))
    tree.tree["nodes"][0]["matrix"] = [-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 7, 8, 9, 1]
    source = tree.read(tmp_path)
    (corners,) = places(source)
    np.testing.assert_allclose(corners.mean(axis=0), [7 - 1 / 3, 8 + 1 / 3, 9], atol=1e-6)
    facing = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    np.testing.assert_allclose(facing, [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(source.normals[:, [1, 2, 0]], [[0, 0, 1]] * 3, atol=1e-6)


def test_normals_of_what_is_stretched_stay_upright(tree, tmp_path):
    tree.mesh(NORMAL=np.tile(np.array([HALF, HALF, 0], dtype="<f4"), (3, 1)))
    tree.tree["nodes"][0]["scale"] = [2, 1, 1]
    np.testing.assert_allclose(tree.read(tmp_path).normals[0, [1, 2, 0]], np.array([1, 2, 0]) / 5**0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (4, [[0, 1, 2]]),
        (5, [[0, 1, 2], [1, 3, 2], [2, 3, 4]]),
        (6, [[0, 1, 2], [0, 2, 3], [0, 3, 4]]),
    ],
)
def test_strips_and_fans_are_triangles(tree, tmp_path, mode, expected):
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 2, 0]], dtype="<f4")
    tree.mesh(points)["mode"] = mode
    np.testing.assert_array_equal(tree.read(tmp_path).faces, expected)


def test_points_and_lines_are_no_triangles(tree, tmp_path):
    tree.mesh()["mode"] = 1
    with pytest.raises(BadInput, match="no triangles"):
        tree.read(tmp_path)


def test_whole_numbers_may_stand_for_fractions(tree, tmp_path):
    primitive = tree.mesh((TRIANGLE * 127).astype("i1"))
    tree.tree["accessors"][primitive["attributes"]["POSITION"]]["normalized"] = True
    primitive["attributes"]["COLOR_0"] = tree.accessor(np.tile(np.uint8([51, 255, 0, 9]), (3, 1)), normalized=True)
    source = tree.read(tmp_path)
    np.testing.assert_allclose(places(source)[0], TRIANGLE, atol=1e-6)
    np.testing.assert_allclose(source.colors, [[0.2, 1, 0]] * 3)


def test_values_may_be_interleaved_and_sparse(tree, tmp_path):
    primitive = tree.mesh()
    entry = tree.tree["accessors"][primitive["attributes"]["POSITION"]]
    entry["bufferView"] = tree.view(np.hstack([TRIANGLE, TRIANGLE + 9]).tobytes(), byteStride=24)
    indices, values = (
        tree.view(np.array([2], dtype="<u2").tobytes()),
        tree.view(np.array([5, 6, 7], dtype="<f4").tobytes()),
    )
    entry["sparse"] = {
        "count": 1,
        "indices": {"bufferView": indices, "componentType": 5123},
        "values": {"bufferView": values},
    }
    np.testing.assert_allclose(places(tree.read(tmp_path))[0], [[0, 0, 0], [1, 0, 0], [5, 6, 7]])


def test_materials_keep_their_factors_and_pictures(tree, tmp_path):
    uv = np.array([[0, 0], [1, 0], [0, 1]], dtype="<f4")
    tree.mesh(TEXCOORD_0=uv)["material"] = 0
    surface = {"baseColorFactor": [0.5, 0.25, 1, 1], "metallicFactor": 0.75, "roughnessFactor": 0.5}
    surface |= {
        "baseColorTexture": {"index": tree.picture("red")},
        "metallicRoughnessTexture": {"index": tree.picture("lime")},
    }
    tree.tree["materials"] = [{"pbrMetallicRoughness": surface, "occlusionTexture": {"index": tree.picture("white")}}]
    source = tree.read(tmp_path)
    (material,) = source.materials
    assert material.base_color == (0.5, 0.25, 1)
    assert (material.metallic, material.roughness) == (0.75, 0.5)
    assert material.base_color_map[0, 0].tolist() == [255, 0, 0]
    assert material.metallic_roughness_map[0, 0].tolist() == [0, 255, 0]
    assert material.occlusion_map[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_allclose(source.uv, [[0, 1], [1, 1], [0, 0]])  # v upwards


def test_materials_that_forget_to_say_are_not_of_metal(tree, tmp_path, caplog):
    tree.mesh()["material"] = 0
    tree.tree["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 1]}}]
    (material,) = tree.read(tmp_path).materials
    assert (material.metallic, material.roughness) == (0, 0.9)
    assert "does not say how metallic it is" in caplog.text


def test_several_materials_stay_apart(tree, tmp_path):
    first = tree.mesh()
    tree.tree["meshes"][0]["primitives"] += [
        {**first, "material": 1},
        {**first, "material": 0},
        {**first, "material": 1},
    ]
    tree.tree["materials"] = [{"pbrMetallicRoughness": {"metallicFactor": number}} for number in (0.0, 1.0)]
    source = tree.read(tmp_path)
    assert source.material.tolist() == [0, 1, 2, 1]
    assert [material.metallic for material in source.materials] == [0, 1, 0]


def test_pictures_can_be_moved_turned_and_scaled(tree, tmp_path):
    """Counter-clockwise as seen, in coordinates whose v runs downwards: (1, 0) goes up, to (0, -1)."""
    tree.mesh(TEXCOORD_0=np.array([[1, 0], [0, 1], [0, 0]], dtype="<f4"))["material"] = 0
    moved = {"offset": [0.25, 0.5], "rotation": np.pi / 2, "scale": [2, 3]}
    info = {"index": tree.picture("red"), "extensions": {"KHR_texture_transform": moved}}
    tree.tree["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": info, "metallicFactor": 0}}]
    down = [[0.25, 0.5 - 2], [0.25 + 3, 0.5], [0.25, 0.5]]
    np.testing.assert_allclose(tree.read(tmp_path).uv, [[u, 1 - v] for u, v in down], atol=1e-6)


def test_pictures_with_other_coordinates_are_left_out_and_said_to_be(tree, tmp_path, caplog):
    uv = np.zeros((3, 2), dtype="<f4")
    tree.mesh(TEXCOORD_0=uv, TEXCOORD_1=uv)["material"] = 0
    surface = {"baseColorTexture": {"index": tree.picture("red"), "texCoord": 1}, "metallicFactor": 0}
    tree.tree["materials"] = [{"pbrMetallicRoughness": surface, "occlusionTexture": {"index": 0}}]
    (material,) = tree.read(tmp_path).materials
    assert material.base_color_map is not None
    assert material.occlusion_map is None
    assert "occlusion_map has texture coordinates of its own" in caplog.text


def test_a_skeleton_stands_as_its_joints_do(tree, tmp_path, caplog):
    """In centimetres, below a node that scales to metres: the joints know, and the mesh's own node does not count."""
    weights = np.tile(np.array([1, 0, 0, 0], dtype="<f4"), (3, 1))
    tree.mesh(TRIANGLE * 100, JOINTS_0=np.zeros((3, 4), dtype="<u1"), WEIGHTS_0=weights)
    bind = tree.accessor(np.eye(4, dtype="<f4").reshape(1, 16))
    joint, mesh = {"translation": [0, 100, 0]}, {"mesh": 0, "skin": 0, "translation": [5, 5, 5]}
    tree.tree["nodes"] = [{"scale": [0.01] * 3, "children": [1, 2]}, joint, mesh]
    tree.tree["skins"] = [{"joints": [1], "inverseBindMatrices": bind}]
    np.testing.assert_allclose(places(tree.read(tmp_path))[0], TRIANGLE + np.array([0, 1, 0]), atol=1e-6)
    assert "it has a skeleton" in caplog.text


def test_morphs_and_animations_are_left_out_and_said_to_be(tree, tmp_path, caplog):
    primitive = tree.mesh()
    primitive["targets"] = [{"POSITION": primitive["attributes"]["POSITION"]}]
    tree.tree["animations"] = [{"channels": [], "samplers": []}]
    np.testing.assert_allclose(places(tree.read(tmp_path))[0], TRIANGLE)
    assert "it is animated" in caplog.text
    assert "it has morph targets: they are left out" in caplog.text


def test_extensions_that_are_not_known_are_refused_by_name(tree, tmp_path):
    tree.mesh()
    tree.tree["extensionsRequired"] = ["EXT_meshopt_compression"]
    with pytest.raises(BadInput, match="EXT_meshopt_compression"):
        tree.read(tmp_path)
    tree.tree["extensionsRequired"] = ["KHR_materials_clearcoat", "KHR_mesh_quantization"]
    assert len(tree.read(tmp_path).faces) == 1


def test_draco_without_dracopy_says_what_to_install(tree, tmp_path, monkeypatch):
    primitive = tree.mesh()
    primitive["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    monkeypatch.setitem(__import__("sys").modules, "DracoPy", None)
    with pytest.raises(Unavailable, match="Draco") as raised:
        tree.read(tmp_path)
    assert "gen3d[draco]" in raised.value.remedy


def test_draco_that_is_none_is_bad_input(tree, tmp_path):
    pytest.importorskip("DracoPy")
    tree.mesh()["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    with pytest.raises(BadInput, match="Draco"):
        tree.read(tmp_path)


@pytest.mark.parametrize(
    "uri", ["../buffer.bin", "%2e%2e/buffer.bin", "/etc/passwd", "file:///etc/passwd", "http://x.org/b"]
)
def test_no_file_elsewhere_is_read(tree, tmp_path, uri):
    (tmp_path / "buffer.bin").write_bytes(bytes(1000))
    (tmp_path / "model").mkdir()
    tree.mesh()
    tree.tree["buffers"][0]["uri"] = uri
    with pytest.raises(BadInput, match=r"outside of its own folder|cannot be read"):
        tree.read(tmp_path / "model")


def test_files_beside_it_are_read(tree, tmp_path):
    tree.mesh()
    (tmp_path / "the buffer.bin").write_bytes(TRIANGLE.tobytes())
    tree.tree["buffers"][0] = {"byteLength": 36, "uri": "the%20buffer.bin"}
    np.testing.assert_allclose(places(tree.read(tmp_path))[0], TRIANGLE)


def _set(tree, path, value):
    node = tree.tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("accessors", 0, "count"), 10**9),
        (("accessors", 0, "count"), -1),
        (("accessors", 0, "byteOffset"), -4),
        (("accessors", 0, "componentType"), 1),
        (("accessors", 0, "bufferView"), 99),
        (("bufferViews", 0, "byteLength"), 10**9),
        (("bufferViews", 0, "byteStride"), 1),
        (("buffers", 0, "uri"), "data:;base64,????"),
        (("nodes", 0, "children"), [0]),
        (("nodes", 0, "mesh"), 5),
        (("meshes", 0, "primitives"), 3),
        (("scene",), 4),
        (("asset",), {"version": "1.0"}),
        (("nodes", 0, "matrix"), [1, 2]),
    ],
)
def test_damage_is_bad_input(tree, tmp_path, path, value):
    tree.mesh()
    _set(tree, path, value)
    with pytest.raises(BadInput, match=r"file\.gltf"):
        tree.read(tmp_path)


def test_an_accessor_without_a_buffer_is_not_taken_at_its_word(tree, tmp_path):
    primitive = tree.mesh()
    entry = tree.tree["accessors"][primitive["attributes"]["POSITION"]]
    del entry["bufferView"]
    entry["count"] = 10**12
    with pytest.raises(BadInput, match="without a buffer"):
        tree.read(tmp_path)


def test_faces_that_name_no_vertex_are_bad_input(tree, tmp_path):
    tree.mesh(faces=[0, 1, 7])
    with pytest.raises(BadInput, match="names vertex 7 of 3"):
        tree.read(tmp_path)
