"""Godot 3."""

import numpy as np
import pytest

from importer_assets import FULL, cases


@pytest.fixture(scope="module")
def imported(godot, tmp_path_factory):
    """What Godot has made of an asset's GLBs."""
    known = {}

    def read(export):
        if export.folder not in known:
            folder = tmp_path_factory.mktemp("godot") / "project"
            known[export.folder] = godot(folder, [file for file in export.glbs if ".web" not in file.suffixes])
        return known[export.folder]

    return read


@pytest.mark.parametrize("name", cases("plain", "detailed", *FULL))
def test_godot_has_every_level_with_its_material(asset, imported, name):
    export = asset(name)
    for level in export.figures["levels"]:
        (body,) = [node["mesh"] for node in imported(export)[level["file"]] if "mesh" in node]
        assert (body["surfaces"], body["vertices"]) == (1, level["vertices"])
        assert body["indices"] == 3 * level["triangles"]
        low, high = np.array(export.figures["bounds"])
        reach = 0.05 * max(high - low)  # of the coarser levels
        np.testing.assert_allclose(body["low"], low, atol=1e-4 if level == export.figures["levels"][0] else reach)
        np.testing.assert_allclose(np.add(body["low"], body["size"]), high, atol=reach)
        size, material = [level["texture"]] * 2, body["material"]
        assert material["albedo"] == size
        if "orm" in level["textures"]:
            assert (material["metallic"], material["roughness"], material["orm"]) == (1, 1, size)
        else:
            assert (material["metallic"], material["roughness"], material["orm"]) == pytest.approx((0, 0.9, None))
        assert material["normal"] == (size if "normal" in level["textures"] else None)
        assert body["tangents"] is ("normal" in level["textures"]) or body["tangents"]


def test_godot_makes_collision_shapes_of_the_hulls(asset, imported):
    export = asset("detailed")
    nodes = imported(export)["thing.glb"]
    shapes = [node for node in nodes if node["class"] == "CollisionShape"]
    assert len(shapes) == len(export.figures["hulls"]) > 0
    assert all(node["parent"] == "StaticBody" for node in shapes)
    assert sorted(node["points"] for node in shapes) == sorted(hull["vertices"] for hull in export.figures["hulls"])


def test_godot_stands_it_on_the_ground_at_its_height(asset, imported):
    (body,) = [node["mesh"] for node in imported(asset("detailed"))["thing.glb"] if "mesh" in node]
    assert body["low"][1] == pytest.approx(0, abs=1e-6)
    assert body["size"][1] == pytest.approx(0.3, abs=1e-5)
