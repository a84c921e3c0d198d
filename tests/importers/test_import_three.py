"""three.js, in Node."""

import numpy as np
import pytest

from importer_assets import ASSETS, cases

FORMATS = {"glb": "MeshStandardMaterial", "obj": "MeshPhongMaterial", "ply": "MeshBasicMaterial"}
FRONT_SIDE = 0


@pytest.mark.parametrize("name", cases(*(name for name in ASSETS if name not in {"draco", "meshopt", "usdz"})))
def test_three_reads_shape_and_material(asset, node, name):
    export = asset(name)
    known = export.figures
    (read,) = node("load_three.mjs", export.glb)
    body, *hulls = read["meshes"]
    assert (body["name"], body["triangles"], body["vertices"]) == ("thing", known["triangles"], known["vertices"])
    assert len(hulls) == (len(known["hulls"]) if known["engine"] == "godot" else 0)
    np.testing.assert_allclose(read["box"], known["bounds"], atol=1e-5)
    material, size = body["material"], [known["texture"]] * 2
    assert material["type"] == "MeshStandardMaterial"
    assert material["map"] == {"space": "srgb", "size": size}
    assert (material["transparent"], material["side"]) == (False, FRONT_SIDE)
    if "orm" in known["textures"]:
        assert (material["metalness"], material["roughness"]) == (1, 1)  # times the picture
        assert material["roughnessMap"] == material["aoMap"] == {"space": "", "size": size}
    else:
        assert (material["metalness"], material["roughness"]) == (0, 0.9)
    detailed = "normal" in known["textures"]
    assert material["normalMap"] == ({"space": "", "size": size} if detailed else None)
    assert body["attributes"] == ["normal", "position", *["tangent"] * detailed, "uv"]


@pytest.mark.parametrize(("kind", "material"), FORMATS.items())
def test_three_reads_every_format_alike(asset, node, kind, material):
    export = asset("plain")
    (read,) = node("load_three.mjs", export.folder / f"thing.{kind}")
    (body,) = read["meshes"]
    assert body["triangles"] == export.figures["triangles"]
    assert body["material"]["type"] == material
    assert body["material"]["transparent"] is False
    np.testing.assert_allclose(read["box"], export.figures["bounds"], atol=1e-5)


@pytest.mark.parametrize("name", ["detailed", "unity"])
def test_three_reads_the_hulls(asset, node, name):
    export = asset(name)
    (read,) = node("load_three.mjs", export.folder / "thing_collision.glb")
    assert [mesh["name"] for mesh in read["meshes"]] == [hull["name"] for hull in export.figures["hulls"]]
    assert all(mesh["triangles"] <= 255 for mesh in read["meshes"])


def test_three_reads_the_compressed_file(asset, node):
    export = asset("meshopt")
    (read,) = node("load_three.mjs", export.folder / "thing.web.glb")
    assert sum(mesh["triangles"] for mesh in read["meshes"]) == export.figures["triangles"]
    np.testing.assert_allclose(read["box"], export.figures["bounds"], atol=1e-3)
