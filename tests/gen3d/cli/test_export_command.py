"""`gen3d export`: flags are keys of the exporter."""

import json
from pathlib import Path
from typing import Any

import pytest
import trimesh


@pytest.fixture
def box(tmp_path: Path) -> Path:
    trimesh.creation.box((1, 2, 4)).export(tmp_path / "box.stl")
    return tmp_path / "box.stl"


def test_flags_make_the_asset(gen3d: Any, box: Path, tmp_path: Path) -> None:
    flags = ["--preset", "mobile", "--texture", "64", "--tris", "60", "--lods", "1", "--collision", "box"]
    flags += ["--height", "30cm", "--pivot", "center", "--engine", "unreal", "--format", "ply"]
    answer = gen3d("export", "--from", box, "out/crate.glb", *flags, "occlusion=false")
    assert answer.code == 0, answer.err
    names = ["crate.glb", "crate.json", "crate.ply", "crate_LOD1.glb", "crate_LOD1.ply", "crate_collision.glb"]
    assert answer.out.split() == [f"out/{name}" for name in names]
    figures = json.loads((tmp_path / "out" / "crate.json").read_text())
    assert figures["size"] == pytest.approx([0.075, 0.3, 0.15], abs=1e-5)
    assert figures["bounds"][0][1] == pytest.approx(-0.15, abs=1e-5)
    assert (figures["texture"], figures["preset"], figures["engine"]) == (64, "mobile", "unreal")
    assert [hull["name"] for hull in figures["hulls"]] == ["UCX_crate_00"]
    assert figures["source"]["file"] == "box.stl"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out.glb", "--preset", "huge"], "'mobile' or 'prop'"),
        (["out.glb", "--height", "tall"], "height is 'tall'"),
        (["out.glb", "--tris", "many"], "a whole number"),
        (["out.glb", "--collision", "mesh"], "convex:N"),
        (["out.glb", "--engine", "quake"], "'godot'"),
        (["out.fbx"], "'glb'"),
        (["out.glb", "--texture", "1000"], "512 or 1024"),
        (["out.glb", "trinagles=7"], "did you mean 'triangles'?"),
        (["run", "out.glb"], "there is no RUN"),
        ([], "Missing argument"),
    ],
)
def test_what_is_wrong_with_a_flag_is_said(gen3d: Any, box: Path, arguments: list[str], message: str) -> None:
    answer = gen3d("export", "--from", box, *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert "Traceback" not in answer.err


def test_a_file_that_is_no_mesh_is_bad_input(gen3d: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.glb").write_bytes(b"glTF")
    answer = gen3d("export", "--from", "bad.glb", "out.glb")
    assert answer.code == 2
    assert answer.err.startswith("error: bad.glb: is cut short")
    assert not (tmp_path / "out.glb").exists()


def test_what_is_missing_has_its_own_exit_code(gen3d: Any, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    answer = gen3d("export", "--from", box, "out.glb", "--compress", "meshopt")
    assert answer.code == 3
    assert "npm install" in answer.err
