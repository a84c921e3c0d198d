"""Files of other writers, and files that are broken."""

import base64
import json
import random
import struct

import numpy as np
import pytest
import trimesh
from PIL import Image

from gen3d.errors import BadInput, Gen3dError, Unsupported
from gen3d_export.audit.check import check
from gen3d_export.audit.gltf import triangles
from gen3d_export.audit.read import read
from gen3d_export.formats.glb import write_glb
from gen3d_export.formats.obj import write_obj
from gen3d_export.formats.ply import write_ply
from glb_edit import edit, joined, split
from small_asset import box_asset, box_body


@pytest.fixture
def body():
    return box_body(64, detail=True)


def corners(scene):
    return scene.positions[scene.faces]


def test_every_format_holds_the_same_box(tmp_path, body):
    write_glb(tmp_path / "box.glb", "box", body)
    write_obj(tmp_path / "box.obj", "box", body)
    write_ply(tmp_path / "box.ply", "box", body)
    expected = body.vertices[body.faces]
    for kind in ("glb", "obj", "ply"):
        scene = read(tmp_path / f"box.{kind}")
        np.testing.assert_allclose(corners(scene), expected, atol=1e-6)
        (piece,) = scene.pieces
        np.testing.assert_allclose(piece.normals[piece.faces], body.normals[body.faces], atol=1e-6)
        if kind != "ply":
            np.testing.assert_allclose(piece.uv[piece.faces], body.uv[body.faces], atol=1e-6)
            np.testing.assert_array_equal(piece.material.pictures["base_color"].pixels, body.maps.base_color)
            np.testing.assert_array_equal(piece.material.pictures["normal"].pixels, body.maps.normal)
            assert piece.material.name == "box"
            assert (piece.material.metallic, piece.material.roughness) == (1, 1)
    assert read(tmp_path / "box.obj").size > read(tmp_path / "box.glb").size / 2


def test_usdz_holds_it_too(tmp_path, body):
    pytest.importorskip("pxr")
    from gen3d_export.formats.usdz import write_usdz

    write_usdz(tmp_path / "box.usdz", "box", body)
    scene = read(tmp_path / "box.usdz")
    (piece,) = scene.pieces
    np.testing.assert_allclose(corners(scene), body.vertices[body.faces], atol=1e-6)
    np.testing.assert_allclose(piece.uv, body.uv, atol=1e-6)
    np.testing.assert_array_equal(piece.material.pictures["base_color"].pixels, body.maps.base_color)
    assert piece.material.pictures["normal"].wraps is False
    assert check(tmp_path / "box.usdz").passed


def test_draco_is_decompressed(tmp_path, body):
    pytest.importorskip("DracoPy")
    from gen3d_export.formats.web import draco

    (tmp_path / "box.web.glb").write_bytes(draco("box", body))
    scene = read(tmp_path / "box.web.glb")
    assert len(scene.faces) == 12
    np.testing.assert_allclose(scene.positions.min(axis=0), body.vertices.min(axis=0), atol=1e-3)
    report = check(tmp_path / "box.web.glb", "prop")
    assert report["extensions"].status == "warn"
    assert report.passed


def test_meshopt_is_refused_with_the_way_out(tmp_path, body):
    write_glb(tmp_path / "box.glb", "box", body)
    edit(tmp_path / "box.glb", lambda tree: tree.update(extensionsRequired=["EXT_meshopt_compression"]))
    with pytest.raises(Unsupported, match=r"EXT_meshopt_compression\n  check the file from which"):
        read(tmp_path / "box.glb")


def test_nodes_move_their_meshes(tmp_path, body):
    """A child turned by 90 degrees around +Y below a scaled and moved parent; the same as a matrix; a mirror."""
    write_glb(tmp_path / "box.glb", "box", body)
    tree, binary = split((tmp_path / "box.glb").read_bytes())
    half = np.sqrt(0.5)
    child = {"name": "child", "mesh": 0, "rotation": [0, half, 0, half]}
    tree["nodes"] = [{"name": "parent", "children": [1], "scale": [2, 2, 2], "translation": [0, 0, 5]}, child]
    (tmp_path / "trs.glb").write_bytes(joined(tree, binary))
    x, y, z = body.vertices.T
    expected = np.stack([2 * z, 2 * y, 5 - 2 * x], axis=-1)
    scene = read(tmp_path / "trs.glb")
    np.testing.assert_allclose(scene.positions, expected, atol=1e-6)
    np.testing.assert_allclose(scene.pieces[0].normals[0], [1, 0, 0], atol=1e-6)
    assert check(tmp_path / "trs.glb")["outward"].status == "pass"
    matrix = [0, 0, -2, 0, 0, 2, 0, 0, 2, 0, 0, 0, 0, 0, 5, 1]  # by columns
    tree["nodes"] = [{"name": "one", "mesh": 0, "matrix": matrix}]
    (tmp_path / "matrix.glb").write_bytes(joined(tree, binary))
    np.testing.assert_allclose(read(tmp_path / "matrix.glb").positions, expected, atol=1e-6)
    tree["nodes"] = [{"name": "mirrored", "mesh": 0, "scale": [-1, 1, 1]}]
    (tmp_path / "mirror.glb").write_bytes(joined(tree, binary))
    report = check(tmp_path / "mirror.glb")
    assert (report["outward"].status, report["normals"].status) == ("pass", "pass")


def test_json_with_files_beside_it(tmp_path, body):
    write_glb(tmp_path / "box.glb", "box", body)
    tree, binary = split((tmp_path / "box.glb").read_bytes())
    (tmp_path / "box data.bin").write_bytes(binary)
    Image.fromarray(body.maps.base_color).save(tmp_path / "color.png")
    tree["buffers"][0]["uri"] = "box%20data.bin"
    tree["images"][0] = {"uri": "color.png"}
    (tmp_path / "box.gltf").write_text(json.dumps(tree))
    scene = read(tmp_path / "box.gltf")
    np.testing.assert_allclose(corners(scene), body.vertices[body.faces], atol=1e-6)
    assert scene.size > len(binary) + (tmp_path / "color.png").stat().st_size
    tree["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    (tmp_path / "box.gltf").write_text(json.dumps(tree))
    np.testing.assert_allclose(corners(read(tmp_path / "box.gltf")), body.vertices[body.faces], atol=1e-6)
    (tmp_path / "color.png").unlink()
    with pytest.raises(BadInput, match=r"color\.png"):
        read(tmp_path / "box.gltf")


def test_interleaved_and_normalised_values(tmp_path):
    rows = np.array([(0, 0, 0, 0, 65535), (1, 0, 0, 65535, 0), (0, 1, 0, 0, 0)])
    data = b"".join(struct.pack("<3f2H", *row[:3], *map(int, row[3:])) for row in rows)
    views = [{"buffer": 0, "byteLength": len(data), "byteStride": 16}]
    accessors = [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}]
    accessors += [
        {"bufferView": 0, "byteOffset": 12, "componentType": 5123, "count": 3, "type": "VEC2", "normalized": True}
    ]
    tree = {"asset": {"version": "2.0"}, "nodes": [{"mesh": 0}], "bufferViews": views, "accessors": accessors}
    tree |= {"meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}}]}]}
    (tmp_path / "t.glb").write_bytes(joined(tree | {"buffers": [{"byteLength": len(data)}]}, data))
    (piece,) = read(tmp_path / "t.glb").pieces
    np.testing.assert_array_equal(piece.positions, rows[:, :3])
    np.testing.assert_array_equal(piece.uv, [(0, 0), (1, 1), (0, 1)])  # v upwards


@pytest.mark.parametrize(
    ("mode", "faces"),
    [(4, [[0, 1, 2]]), (5, [[0, 1, 2], [1, 3, 2], [2, 3, 4]]), (6, [[1, 2, 0], [2, 3, 0], [3, 4, 0]]), (1, [])],
)
def test_strips_and_fans(mode, faces):
    np.testing.assert_array_equal(triangles(None, 5, mode), np.reshape(faces, (-1, 3)))


def test_obj_of_other_writers(tmp_path):
    """Quads, indices from the end, no normals, `Tr`, a picture with options before its name."""
    Image.new("RGB", (4, 4), (9, 8, 7)).save(tmp_path / "c.png")
    (tmp_path / "m.mtl").write_text("newmtl Red Paint\nKd 1 0 0\nTr 1\nmap_Kd -s 1 1 c.png\n")
    lines = ["mtllib m.mtl", "o Quad", "v 0 0 0", "v 1 0 0", "v 1 1 0", "v 0 1 0", "vt 0 0", "usemtl Red Paint"]
    (tmp_path / "q.obj").write_text("\n".join([*lines, "f -4/1 -3/1 -2/1 -1/1"]) + "\n")
    report = check(tmp_path / "q.obj")
    assert report.figures["triangles"] == 2
    assert report["opacity"].status == "warn"
    assert report["material_factors"].status == report["normals"].status == report["names"].status == "fail"


def test_ply_as_text(tmp_path, body):
    mesh = trimesh.Trimesh(body.vertices, body.faces, process=False)
    (tmp_path / "t.ply").write_bytes(trimesh.exchange.ply.export_ply(mesh, encoding="ascii", vertex_normal=False))
    scene = read(tmp_path / "t.ply")
    np.testing.assert_allclose(corners(scene), body.vertices[body.faces], atol=1e-6)
    assert scene.pieces[0].normals is None
    assert check(tmp_path / "t.ply")["base_color"].status == "warn"


@pytest.mark.parametrize("name", ["a.glb", "a.gltf", "a.obj", "a.ply", "a.usdz"])
def test_what_is_no_file_of_its_kind_is_bad_input(tmp_path, name):
    for content in (b"", b"glTF", b"ply\nformat", bytes(range(256)), b"{}"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Gen3dError):
            read(tmp_path / name)
    with pytest.raises(BadInput, match="an existing file"):
        read(tmp_path / f"no-{name}")


def test_damage_is_bad_input_and_never_another_error(tmp_path, body):
    write_glb(tmp_path / "box.glb", "box", body)
    data = (tmp_path / "box.glb").read_bytes()
    (tmp_path / "box.glb").write_bytes(data[:-1000])
    with pytest.raises(BadInput, match="is cut off"):
        read(tmp_path / "box.glb")
    rng, refused = random.Random(0), 0
    for _ in range(60):
        spoilt = bytearray(data)
        for _ in range(4):
            spoilt[rng.randrange(20, 2000)] = rng.randrange(256)
        (tmp_path / "box.glb").write_bytes(spoilt)
        try:
            check(tmp_path / "box.glb", "prop")
        except BadInput:
            refused += 1
    assert 10 < refused <= 60


def test_a_collision_file_has_only_hulls(tmp_path):
    write_glb(tmp_path / "c.glb", "box", None, {"UCX_box_00": box_asset(hulls=1).hulls[0]})
    scene = read(tmp_path / "c.glb")
    assert (len(scene.pieces), len(scene.hulls)) == (0, 1)
