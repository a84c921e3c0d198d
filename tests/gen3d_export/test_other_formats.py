import struct
import zipfile

import numpy as np
import pytest
import trimesh
from PIL import Image

from gen3d.errors import Unavailable
from gen3d_export.formats.obj import write_obj
from gen3d_export.formats.ply import write_ply
from gen3d_export.formats.usdz import require, write_usdz
from small_asset import COLORS, SIDES, SIZE, box_body


def test_obj_reads_back_and_is_opaque(tmp_path):
    body = box_body()
    write_obj(tmp_path / "The box.obj", "box", body)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["The box.obj", "box.mtl", "box_base_color.png"]
    lines = (tmp_path / "box.mtl").read_text().splitlines()
    assert "Tr" not in [line.split()[0] for line in lines]
    assert {"Kd 1 1 1", "d 1", "map_Kd box_base_color.png", "Pr 0.9", "Pm 0.0"} <= set(lines)
    read = trimesh.load_mesh(tmp_path / "The box.obj", process=False)
    np.testing.assert_allclose(read.triangles, body.vertices[body.faces], atol=1e-6)
    np.testing.assert_allclose(read.visual.uv[read.faces], body.uv[body.faces], atol=1e-6)
    np.testing.assert_allclose(read.vertex_normals[read.faces], body.normals[body.faces], atol=1e-6)
    np.testing.assert_array_equal(np.asarray(read.visual.material.image), body.maps.base_color)


def test_obj_names_a_picture_for_each_property(tmp_path):
    body = box_body(detail=True)
    write_obj(tmp_path / "box.obj", "box", body)
    said = dict(line.split(maxsplit=1) for line in (tmp_path / "box.mtl").read_text().splitlines())
    for key, channel in (("map_Pr", 1), ("map_Pm", 2)):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / said[key])), body.maps.orm[..., channel])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / said["norm"])), body.maps.normal)


def test_ply_has_colours_and_normals_and_no_seams(tmp_path):
    body = box_body(120)
    write_ply(tmp_path / "box.ply", "box", body)
    read = trimesh.load_mesh(tmp_path / "box.ply", process=False)
    assert len(read.vertices) == 24  # a box's corners have three normals each
    np.testing.assert_allclose(read.triangles, body.vertices[body.faces], atol=1e-6)
    sides = np.array([normal for normal, _ in SIDES])
    side = (read.vertex_normals @ sides.T).argmax(axis=1)
    np.testing.assert_array_equal(read.visual.vertex_colors[:, :3], np.array(COLORS)[side])
    assert b"property float nx" in (tmp_path / "box.ply").read_bytes()


def test_ply_welds_what_only_the_texture_split(tmp_path):
    from dataclasses import replace

    body = replace(box_body(), normals=np.tile([0.0, 1.0, 0.0], (24, 1)))
    write_ply(tmp_path / "box.ply", "box", body)
    read = trimesh.load_mesh(tmp_path / "box.ply", process=False)
    assert len(read.vertices) == 8
    assert read.is_watertight


@pytest.fixture
def usd():
    return pytest.importorskip("pxr.Usd", reason="needs usd-core")


def test_usdz_states_metres_up_and_its_material(tmp_path, usd):
    from pxr import UsdGeom, UsdShade

    body = box_body(detail=True)
    write_usdz(tmp_path / "box.usdz", "the-box", body)
    stage = usd.Stage.Open(str(tmp_path / "box.usdz"))
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath(stage.GetDefaultPrim().GetPath().AppendChild("mesh")))
    points = np.array(mesh.GetPointsAttr().Get())
    np.testing.assert_allclose(np.ptp(points, axis=0), SIZE, atol=1e-6)
    np.testing.assert_array_equal(np.array(mesh.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3), body.faces)
    np.testing.assert_allclose(np.array(UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st").Get()), body.uv, atol=1e-6)
    material, _ = UsdShade.MaterialBindingAPI(mesh.GetPrim()).ComputeBoundMaterial()
    surface = material.ComputeSurfaceSource()[0]
    assert surface.GetIdAttr().Get() == "UsdPreviewSurface"
    for key, output in {
        "diffuseColor": "rgb",
        "occlusion": "r",
        "roughness": "g",
        "metallic": "b",
        "normal": "rgb",
    }.items():
        (source,) = surface.GetInput(key).GetConnectedSources()[0]
        assert source.sourceName == output


def test_usdz_passes_the_validators_of_openusd(tmp_path, usd):
    from pxr import UsdValidation

    write_usdz(tmp_path / "box.usdz", "box", box_body(detail=True))
    known = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(known) > 10
    problems = UsdValidation.ValidationContext(known).Validate(usd.Stage.Open(str(tmp_path / "box.usdz")))
    assert [problem.GetMessage() for problem in problems] == []


def test_usdz_is_stored_and_aligned(tmp_path, usd):
    write_usdz(tmp_path / "box.usdz", "box", box_body(detail=True))
    assert [path.name for path in tmp_path.iterdir()] == ["box.usdz"]
    data = (tmp_path / "box.usdz").read_bytes()
    with zipfile.ZipFile(tmp_path / "box.usdz") as package:
        entries = package.infolist()
    assert entries[0].filename.endswith(".usdc")
    for entry in entries:
        name, extra = struct.unpack_from("<HH", data, entry.header_offset + 26)
        assert entry.compress_type == zipfile.ZIP_STORED
        assert (entry.header_offset + 30 + name + extra) % 64 == 0


def test_without_openusd_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pxr", None)
    with pytest.raises(Unavailable, match="usd-core") as raised:
        require()
    assert raised.value.exit_code == 3
    assert "gen3d[usd]" in raised.value.remedy
