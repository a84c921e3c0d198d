"""The Khronos glTF validator."""

import pytest

from gen3d_export.presets import PRESETS
from glb_edit import joined, split
from importer_assets import ASSETS, FULL, cases

EVERY = cases(*(name for name in ASSETS if name not in {"draco", "meshopt", "usdz"}))


@pytest.mark.parametrize("name", EVERY)
def test_the_validator_finds_nothing(asset, node, name):
    files = asset(name).glbs
    assert files
    for file, report in zip(files, node("validate.mjs", *files), strict=True):
        issues = report["issues"]
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), f"{file.name}: {issues['messages']}"
        assert report["info"]["version"] == "2.0"


@pytest.mark.parametrize("name", EVERY)
def test_the_validator_counts_what_the_figures_say(asset, node, name):
    export = asset(name)
    levels = [export.folder / level["file"] for level in export.figures["levels"]]
    for file, report in zip(levels, node("validate.mjs", *levels), strict=True):
        info, known = report["info"], export.level(file)
        hulls = export.figures["hulls"] if info["drawCallCount"] > 1 else []
        assert info["drawCallCount"] == 1 + len(hulls)
        assert info["totalTriangleCount"] == known["triangles"] + sum(hull["triangles"] for hull in hulls)
        assert info["totalVertexCount"] == known["vertices"] + sum(hull["vertices"] for hull in hulls)
        assert info["materialCount"] == 1
        pictures = [resource["image"] for resource in info["resources"] if "image" in resource]
        assert {(picture["width"], picture["height"]) for picture in pictures} == {(known["texture"],) * 2}


@pytest.mark.parametrize("name", [*cases(*FULL)])
def test_presets_keep_their_budgets(asset, node, name):
    (report,) = node("validate.mjs", asset(name).glb)
    assert report["info"]["totalTriangleCount"] <= PRESETS[name].triangles
    assert report["info"]["totalTriangleCount"] > 0.8 * PRESETS[name].triangles


def test_the_validator_does_find_what_is_wrong(asset, node, tmp_path):
    """Of a file with one normal bent: so that the tests above can fail."""
    tree, data = split(asset("plain").glb.read_bytes())
    normals = tree["accessors"][tree["meshes"][0]["primitives"][0]["attributes"]["NORMAL"]]
    at = tree["bufferViews"][normals["bufferView"]]["byteOffset"]
    (tmp_path / "bent.glb").write_bytes(joined(tree, data[:at] + bytes(12) + data[at + 12 :]))
    (report,) = node("validate.mjs", tmp_path / "bent.glb")
    assert report["issues"]["numErrors"] > 0
