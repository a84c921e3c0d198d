import json

import numpy as np
import pytest
import trimesh
from PIL import Image

from gen3d.cli import main
from gen3d.errors import BadInput
from gen3d_training.render_dataset import ViewSettings, find_meshes, render_dataset, view_plan

SMALL = ViewSettings(views=3, size=16)


@pytest.fixture
def meshes(tmp_path):
    folder = tmp_path / "meshes"
    (folder / "pack" / "inner").mkdir(parents=True)
    trimesh.creation.box((1, 1, 1)).export(folder / "pack" / "box.glb")
    trimesh.creation.icosphere(1).export(folder / "pack" / "inner" / "ball.ply")
    (folder / "pack" / "broken.glb").write_bytes(b"glTF, but not really")
    (folder / "pack" / "notes.txt").write_text("no mesh")
    return folder


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        main(["render-dataset", *map(str, arguments)])
    return exit_.value.code


def test_every_mesh_is_rendered_and_a_broken_one_is_logged(meshes, tmp_path):
    out = tmp_path / "views"
    index = render_dataset(meshes, out, SMALL, workers=2)
    assert index == json.loads((out / "index.json").read_text()) | {"radius": (1.5, 2.2)}
    assert index["objects"] == ["pack/box", "pack/inner/ball"]
    (failed,) = [json.loads(line) for line in (out / "failed.jsonl").read_text().splitlines()]
    assert failed["object"] == "pack/broken"
    assert "BadInput" in failed["error"]
    assert not (out / "pack" / "broken").exists()
    for name in index["objects"]:
        listing = json.loads((out / name / "views.json").read_text())
        assert listing == view_plan(name, SMALL)
        assert (listing["fov_deg"], listing["size"]) == (49.1, 16)
        for view in listing["views"]:
            with Image.open(out / name / view["file"]) as image:
                assert (image.mode, image.size) == ("RGBA", (16, 16))
                assert np.asarray(image)[8, 8, 3] == 255


def test_finished_objects_are_kept_and_others_are_done_again(meshes, tmp_path):
    out = tmp_path / "views"
    render_dataset(meshes, out, SMALL, workers=1)
    kept, again = out / "pack" / "box" / "000.png", out / "pack" / "inner" / "ball" / "000.png"
    first = again.read_bytes()
    kept.write_bytes(b"kept")
    again.write_bytes(b"lost")
    (again.parent / "views.json").unlink()
    render_dataset(meshes, out, SMALL, workers=1)
    assert kept.read_bytes() == b"kept"
    assert again.read_bytes() == first


def test_other_settings_replace_what_is_there(meshes, tmp_path):
    out = tmp_path / "views"
    render_dataset(meshes, out, SMALL, workers=1)
    before = (out / "pack" / "box" / "001.png").read_bytes()
    render_dataset(meshes, out, ViewSettings(views=3, size=16, seed=1), workers=1)
    assert (out / "pack" / "box" / "001.png").read_bytes() != before


def test_views_cover_the_sphere_evenly_within_the_radius():
    plan = view_plan("pack/box", ViewSettings(views=24))
    height = np.sin(np.radians([view["elevation_deg"] for view in plan["views"]]))
    assert (np.floor((height + 1) / 2 * 24) == np.arange(24)).all()  # one in each band of equal area
    radius = np.array([view["radius"] for view in plan["views"]])
    assert radius.min() >= 1.5
    assert radius.max() <= 2.2
    assert np.ptp(radius) > 0.4
    azimuth = np.radians([view["azimuth_deg"] for view in plan["views"]])
    assert np.hypot(np.cos(azimuth).mean(), np.sin(azimuth).mean()) < 0.15


def test_views_belong_to_the_name_and_the_seed():
    assert view_plan("a", SMALL) == view_plan("a", SMALL)
    assert view_plan("a", SMALL) != view_plan("b", SMALL)
    assert view_plan("a", SMALL) != view_plan("a", ViewSettings(views=3, size=16, seed=1))


def test_files_of_one_name_are_told_apart(tmp_path):
    for name in ("a.glb", "a.obj", "b.ply"):
        (tmp_path / name).touch()
    assert {name: str(path) for name, path in find_meshes(tmp_path).items()} == {
        "a": "a.glb",
        "a.obj": "a.obj",
        "b": "b.ply",
    }


def test_a_folder_of_broken_meshes_leaves_no_index(tmp_path):
    (tmp_path / "a.glb").write_bytes(b"no")
    with pytest.raises(BadInput, match=r"failed\.jsonl"):
        render_dataset(tmp_path, tmp_path / "out", SMALL, workers=1)
    assert not (tmp_path / "out" / "index.json").exists()


def test_command_renders(meshes, tmp_path, capsys):
    assert run(meshes, tmp_path / "views", "--views", 2, "--size", 8, "--radius", 1, 1, "--workers", 1) == 0
    listing = json.loads((tmp_path / "views" / "pack" / "box" / "views.json").read_text())
    assert [view["radius"] for view in listing["views"]] == [1, 1]
    assert "2 objects" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["absent", "empty"])
def test_command_refuses_a_folder_without_meshes(tmp_path, capsys, folder):
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / folder, tmp_path / "views") == 2
    assert folder in capsys.readouterr().err
    assert not (tmp_path / "views").exists()
