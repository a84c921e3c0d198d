"""Blender, which also draws what it has read."""

import numpy as np
import pytest
from PIL import Image

from importer_assets import FULL, cases


def picture_of(path):
    """Colours and coverage of a picture in [0, 1]."""
    pixels = np.asarray(Image.open(path).convert("RGBA")) / 255
    return pixels[..., :3], pixels[..., 3]


def check_shape(body, known, tolerance=1e-5):
    """Triangles and bounds; Blender's frame has glTF's -Z on +Y and its +Y on +Z."""
    low, high = np.array(known["bounds"])
    assert body["triangles"] == known["triangles"]
    np.testing.assert_allclose(body["low"], [low[0], -high[2], low[1]], atol=tolerance)
    np.testing.assert_allclose(body["high"], [high[0], -low[2], high[1]], atol=tolerance)


def check_picture(path):
    """The ball fills a fifth to three fifths of the picture, is red in the middle, and blue above."""
    colors, cover = picture_of(path)
    assert 0.2 < cover.mean() < 0.6
    side = len(colors)
    middle = colors[side // 2 - 8 : side // 2 + 8, side // 2 - 8 : side // 2 + 8].reshape(-1, 3).mean(axis=0)
    assert middle[0] > 0.5
    assert middle[0] > 3 * middle[1:].max()
    blue = (colors[..., 2] > 0.4) & (colors[..., 2] > 2 * colors[..., :2].max(axis=-1)) & (cover > 0.9)
    rows, _ = np.nonzero(blue)
    assert len(rows) > 50
    assert rows.mean() < 0.4 * side
    assert colors[cover > 0.9].std() > 0.1


@pytest.mark.parametrize("name", cases("plain", "detailed", *FULL))
def test_blender_reads_and_draws_the_glb(asset, blender, name, tmp_path):
    export = asset(name)
    known = export.figures
    body = next(mesh for mesh in blender(export.glb, tmp_path / "front.png") if mesh["name"] == "thing")
    check_shape(body, known)
    assert body["uv"] == 1
    (material,) = body["materials"]
    size = known["texture"]
    uses = [space for *sides, space in material["pictures"] if sides == [size, size]]
    linear = {"orm": 2, "normal": 1}  # occlusion is a use of its own
    assert len(uses) == len(material["pictures"])
    assert uses.count("sRGB") == 1
    assert uses.count("Non-Color") == sum(count for name, count in linear.items() if name in known["textures"])
    assert material["alpha"] == 1
    if "orm" not in known["textures"]:
        assert (material["metallic"], material["roughness"]) == pytest.approx((0, 0.9))
    check_picture(tmp_path / "front.png")


@pytest.mark.importers
@pytest.mark.parametrize(("name", "kind"), [("plain", "obj"), ("blender", "obj"), ("plain", "ply"), ("usdz", "usdz")])
def test_blender_reads_other_formats(asset, blender, name, kind, tmp_path):
    if kind == "usdz":
        pytest.importorskip("pxr")
    export = asset(name)
    (body,) = blender(export.folder / f"thing.{kind}", tmp_path / "front.png")
    check_shape(body, export.figures, tolerance=1e-4)
    assert 0.2 < picture_of(tmp_path / "front.png")[1].mean() < 0.6
    if kind != "ply":  # whose colours Blender keeps for a shader to ask for
        check_picture(tmp_path / "front.png")


@pytest.mark.importers
def test_blender_reads_the_compressed_file(asset, blender, tmp_path):
    pytest.importorskip("DracoPy")
    export = asset("draco")
    (body,) = blender(export.folder / "thing.web.glb", tmp_path / "front.png")
    check_shape(body, export.figures, tolerance=1e-3)
    check_picture(tmp_path / "front.png")
