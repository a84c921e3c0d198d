import json
import struct

import numpy as np
import pytest
import trimesh

from gen3d.errors import BadInput
from gen3d_export.asset_json import figures
from gen3d_export.staged import staged
from gen3d_export.write import forget, hull_names, plain_name, write
from small_asset import SIZE, box_asset


def nodes(path):
    data = path.read_bytes()
    return [node["name"] for node in json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])["nodes"]]


def test_levels_and_hulls_have_files_of_their_own(tmp_path):
    write(box_asset(levels=3, hulls=2), tmp_path, "Box", ["glb", "ply"], None, None)
    levels = [f"Box{level}.{kind}" for level in ("", "_LOD1", "_LOD2") for kind in ("glb", "ply")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*levels, "Box_collision.glb"])
    assert nodes(tmp_path / "Box.glb") == ["box"]
    assert nodes(tmp_path / "Box_LOD2.glb") == ["box_lod2"]
    assert nodes(tmp_path / "Box_collision.glb") == ["box_hull_00", "box_hull_01"]


@pytest.mark.parametrize(
    ("engine", "main", "collision"),
    [
        ("godot", ["box", "box_hull_00-convcolonly"], ["box_hull_00-convcolonly"]),
        ("unreal", ["box"], ["box", "UCX_box_00"]),
        ("unity", ["box"], ["box_hull_00"]),
        ("blender", ["box"], ["box_hull_00"]),
    ],
)
def test_engines_find_hulls_by_their_names(tmp_path, engine, main, collision):
    write(box_asset(levels=2, hulls=1), tmp_path, "box", ["glb"], engine, None)
    assert nodes(tmp_path / "box.glb") == main
    assert nodes(tmp_path / "box_collision.glb") == collision
    assert nodes(tmp_path / "box_LOD1.glb") == ["box_lod1"]


def test_without_hulls_there_is_no_file_of_them(tmp_path):
    write(box_asset(), tmp_path, "box", ["glb"], "godot", None)
    assert [path.name for path in tmp_path.iterdir()] == ["box.glb"]


@pytest.mark.parametrize(
    ("stem", "name"),
    [("asset", "asset"), ("My Barrel (2)", "my_barrel_2"), ("Größe", "gr_e"), ("木", "asset"), ("a.b", "a_b")],
)
def test_names_are_plain(stem, name):
    assert plain_name(stem) == name


def test_what_an_earlier_export_left_goes_and_nothing_else(tmp_path):
    names = [
        "box.glb",
        "box_LOD1.glb",
        "box_LOD2.glb",
        "box_collision.glb",
        "box.web.glb",
        "box_LODGE.glb",
        "boxes_LOD1.glb",
    ]
    for name in (*names, "box.obj"):
        (tmp_path / name).touch()
    forget(tmp_path, "box", [tmp_path / "box.glb", tmp_path / "box_LOD1.glb"])
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"box.glb", "box_LOD1.glb", "box_LODGE.glb", "boxes_LOD1.glb", "box.obj"}


def test_files_appear_together(tmp_path):
    target = tmp_path / "new" / "asset"
    with staged(target) as folder:
        (folder / "a").write_text("1")
        (folder / "b").write_text("2")
        assert [path for path in target.iterdir() if path.is_file()] == []
    assert sorted(path.name for path in target.iterdir()) == ["a", "b"]


def test_a_full_disk_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_text("old")

    def fill():
        with staged(tmp_path) as folder:
            (folder / "a").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(BadInput, match="No space left") as raised:
        fill()
    assert raised.value.exit_code == 2
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_a_directory_that_cannot_be_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write here"), staged(tmp_path / "file"):
        pass


def test_figures_are_those_of_the_box():
    asset = box_asset(levels=2, hulls=1, detail=True)
    known = figures(asset, ["box.glb", "box_LOD1.glb"], hull_names(asset, "unreal"))
    assert known["size"] == pytest.approx(SIZE)
    assert known["bounds"] == [[-0.1, 0, -0.3], [0.1, 0.4, 0.3]]
    assert (known["triangles"], known["vertices"], known["watertight"]) == (12, 24, True)
    assert known["textures"] == {"base_color": 12, "orm": 12, "normal": 12}
    assert [level["file"] for level in known["levels"]] == ["box.glb", "box_LOD1.glb"]
    (hull,) = known["hulls"]
    assert (hull["name"], hull["triangles"]) == ("UCX_box_00", 4)
    assert hull["bounds"] == [[0, 0, 0], [0.1, 0.4, 0.3]]


def test_texel_density_is_of_the_whole_surface():
    """0.64 of the picture for 0.88 square metres."""
    asset = box_asset()
    assert trimesh.Trimesh(asset.levels[0].vertices, asset.levels[0].faces).area == pytest.approx(0.88)
    known = figures(asset, ["box.glb"], {})
    assert known["texels_per_metre"] == pytest.approx(12 * np.sqrt(0.64 / 0.88), abs=0.05)
