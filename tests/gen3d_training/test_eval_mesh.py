import json

import pytest
import trimesh

from gen3d.cli import main
from gen3d_training.eval_mesh import eval_mesh


@pytest.fixture
def write(tmp_path):
    def save(name, mesh):
        mesh.export(tmp_path / name)
        return tmp_path / name

    return save


def box(*extents, at=(0, 0, 0)):
    return trimesh.creation.box(extents, trimesh.transformations.translation_matrix(at))


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        main(["eval", "mesh", *map(str, arguments)])
    return exit_.value.code


def test_a_mesh_equals_itself(write):
    path = write("a.glb", trimesh.creation.torus(1.0, 0.3))
    result = eval_mesh(path, path)
    assert (result["chamfer"], result["iou"], result["f_score"]) == (0, 1, 1)
    assert result["closed"] == {"pred": True, "gt": True}


def test_offset_boxes_have_the_overlap_that_they_have(write):
    a, b = write("a.ply", box(2, 2, 2)), write("b.ply", box(2, 2, 2, at=(1, 0, 0)))
    assert eval_mesh(a, b, "none")["iou"] == pytest.approx(1 / 3, rel=0.05)  # 64 cells do not divide 3
    assert eval_mesh(a, b, "cube")["iou"] == 1


def test_normalisation_undoes_scale_and_place(write):
    a, b = write("a.obj", box(1, 2, 3)), write("b.glb", box(10, 20, 30, at=(5, 6, 7)))
    cube, none = eval_mesh(a, b), eval_mesh(a, b, "none")
    assert cube["iou"] == 1
    assert cube["chamfer"] < 0.02
    assert none["iou"] < 0.01
    assert none["chamfer"] > 3


def test_spheres_differ_by_their_radii(write):
    a, b = (write(f"{r}.ply", trimesh.creation.icosphere(5, radius=r)) for r in (1.0, 0.8))
    result = eval_mesh(a, b, "none", points=20_000, threshold=0.1)
    assert result["chamfer"] == pytest.approx(0.2, abs=0.003)
    assert result["iou"] == pytest.approx(0.8**3, rel=0.02)
    assert result["f_score"] == 0
    assert eval_mesh(a, b, "none", threshold=0.13)["f_score"] == 1  # of the true diameter, 1.6


def test_samples_belong_to_the_seed(write):
    a, b = write("a.ply", trimesh.creation.icosphere(2)), write("b.ply", box(1, 1, 1))
    first = eval_mesh(a, b, seed=3)
    assert eval_mesh(a, b, seed=3) == first
    assert eval_mesh(a, b, seed=4)["chamfer"] != first["chamfer"]


def test_command_prints_figures_and_protocol(write, capsys):
    a, b = write("a.ply", trimesh.creation.icosphere(2)), write("b.ply", box(1, 1, 1))
    assert run(a, b, "--points", 500) == 0
    text = capsys.readouterr().out
    for word in ("Chamfer distance", "IoU", "F-score", "normalisation", "alignment: none", "500 a surface", "64^3"):
        assert word in text
    assert run(a, b, "--points", 500, "--json", "--normalize", "none") == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"chamfer", "iou", "f_score", "closed", "protocol"}
    assert result["protocol"]["normalisation"].startswith("none")


def test_command_tells_of_open_meshes(write, capsys):
    sheet = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], process=False)
    assert run(write("a.ply", sheet), write("b.ply", box(1, 1, 1)), "--points", 500) == 0
    assert "not closed: pred" in capsys.readouterr().out


@pytest.mark.parametrize("broken", ["absent.glb", "empty.glb", "text.obj"])
def test_command_refuses_what_is_no_mesh(write, tmp_path, capsys, broken):
    (tmp_path / "empty.glb").touch()
    (tmp_path / "text.obj").write_text("hello")
    assert run(tmp_path / broken, write("b.ply", box(1, 1, 1))) == 2
    assert broken in capsys.readouterr().err
