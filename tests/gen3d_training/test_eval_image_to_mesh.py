import json
import math

import numpy as np
import pytest
import trimesh
from PIL import Image

from gen3d.cameras import Cameras
from gen3d.cli import main
from gen3d.errors import BadInput, Degenerate, Unavailable
from gen3d_training.cases import choose, prepare
from gen3d_training.eval_image_to_mesh import eval_image_to_mesh
from gen3d_training.metrics import iou
from gen3d_training.model import load_model, normalized
from gen3d_training.render import first_hits
from gen3d_training.scores import summary

RECIPE = """
gen3d: 1
inputs: {image: picture.png}
renderer: {type: volume, background: white}
optimizer: {type: adam, lr: 0.1}
export: {type: game_mesh, format: glb, triangles: 1000, texture: 32, resolution: 24}
steps: 8
cameras: {views: 1, size: 8}
representation: {type: voxel, resolution: 16, channels: rgb}
guidance:
  input_view: {type: reference_view, size: 16, weight: 100}
  novel_views: {type: opacity}
"""
TO_GLTF = trimesh.transformations.rotation_matrix(-2 * math.pi / 3, [1, 1, 1])  # (x, y, z) -> (y, z, x)


@pytest.fixture
def dataset(tmp_path):
    """Three boxes that differ, each with a nose at the right of its front."""
    folder = tmp_path / "meshes"
    (folder / "pack").mkdir(parents=True)
    for at, depth in enumerate((0.3, 0.6, 0.9)):
        body, nose = trimesh.creation.box((0.8, 1.0, depth)), trimesh.creation.box((0.3, 0.2, 0.2))
        nose.apply_translation([0.5, 0.3, depth / 2])
        trimesh.util.concatenate([body, nose]).export(folder / "pack" / f"box{at}.glb")
    return folder


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return path


class Truth:
    """Makes of a picture the very object it shows, as an exporter would write it, and counts how often it is asked."""

    def __init__(self, dataset, output):
        self.files, self.output, self.calls = choose(dataset, None), output, []

    def __call__(self, picture, elevation_deg, directory, extra):
        name = picture.parent.relative_to(self.output).as_posix()
        self.calls.append((name, tuple(extra)))
        if extra:
            raise Degenerate("the object is empty")
        mesh = prepare(self.files[name], name, directory).truth
        mesh.apply_transform(TO_GLTF)
        mesh.apply_scale(1.7)
        mesh.export(directory / "asset.glb")
        return directory / "asset.glb"


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        main(["eval", "image-to-mesh", *map(str, arguments)])
    return exit_.value.code


def test_a_case_shows_the_object_from_the_side_that_its_truth_has_in_front(dataset, tmp_path):
    name = "pack/box1"
    case = prepare(dataset / f"{name}.glb", name, tmp_path / "case")
    assert 30 <= abs(case.azimuth_deg) <= 45
    assert 15 <= case.elevation_deg <= 20
    with Image.open(case.picture) as image:
        assert (image.mode, image.size) == ("RGBA", (256, 256))
        alpha = np.asarray(image)[..., 3]
    spans = [np.ptp(np.nonzero(alpha > 127)[axis]) / 256 for axis in (0, 1)]
    assert max(spans) < 0.92
    assert max(spans) > 0.7
    np.testing.assert_allclose(case.truth.bounds.mean(axis=0), 0, atol=1e-9)
    assert case.truth.extents.max() == pytest.approx(1)
    turn = trimesh.transformations.rotation_matrix(-math.radians(case.azimuth_deg), [0, 0, 1])
    turned = load_model(dataset / f"{name}.glb").mesh.apply_transform(turn)
    np.testing.assert_allclose(case.truth.extents, normalized(turned).extents, atol=1e-9)


def outline(mask):
    """A silhouette cropped to its bounding box, on 64 x 64 pixels."""
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    crop = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.asarray(Image.fromarray(crop).resize((64, 64), Image.Resampling.NEAREST))


def test_the_extruded_silhouette_looks_like_the_picture_from_where_that_was_taken(dataset, tmp_path):
    name = "pack/box1"
    case = prepare(dataset / f"{name}.glb", name, tmp_path / "case")
    cameras = Cameras.orbit(0.0, math.radians(case.elevation_deg), 20.0, 0.1, 256)
    seen = np.zeros(256 * 256, dtype=bool)
    seen[first_hits(case.baselines["extruded"], cameras)[0]] = True
    with Image.open(case.picture) as image:
        shown = outline(np.asarray(image)[..., 3] > 127)
    seen = outline(seen.reshape(256, 256))
    assert iou(seen, shown) > 0.97
    assert iou(seen[:, ::-1], shown) < 0.93
    assert iou(seen[::-1], shown) < 0.93


def test_objects_are_drawn_by_the_seed_and_more_of_them_include_the_fewer(dataset):
    two, three = choose(dataset, 2), choose(dataset, 3)
    assert list(three)[:2] == list(two)
    assert {tuple(choose(dataset, 1, seed=seed)) for seed in range(20)} == {(name,) for name in three}


@pytest.mark.parametrize("text", ['["pack/box0", "pack/box2"]', "pack/box2\npack/box0\n\n"])
def test_objects_can_be_listed(dataset, tmp_path, text):
    (tmp_path / "only").write_text(text)
    assert sorted(choose(dataset, 12, tmp_path / "only")) == ["pack/box0", "pack/box2"]


def test_a_listed_object_that_is_not_there_is_named(dataset, tmp_path):
    (tmp_path / "only").write_text("pack/box7")
    with pytest.raises(BadInput, match=r"pack/box7"):
        choose(dataset, 12, tmp_path / "only")
    with pytest.raises(BadInput, match="absent"):
        choose(dataset, 12, tmp_path / "absent")


def test_the_truth_scores_one_a_failure_scores_nothing_and_finished_objects_are_kept(dataset, recipe, tmp_path):
    output = tmp_path / "out"
    make, told = Truth(dataset, output), []
    result = eval_image_to_mesh(
        dataset, output, recipe, objects=1, make=make, report=lambda *told_: told.append(told_[:3])
    )
    for one in result["objects"].values():
        columns = one["columns"]
        assert columns["recipe"]["iou"] > 0.98
        assert columns["recipe"]["chamfer"] < 0.002
        assert columns["prior off"]["error"] == "Degenerate: the object is empty"
        assert columns["prior off"]["iou"] == 0
        assert columns["prior off"]["chamfer"] > 0.2
        assert 0.2 < columns["sphere"]["iou"] < 0.9
        assert 0.2 < columns["extruded"]["iou"] < 0.95
    assert [(done, total) for _, done, total in told] == [(1, 1)]
    assert {extra for _, extra in make.calls} == {(), ("guidance.novel_views=null",)}
    assert json.loads((output / "results.json").read_text())["summary"] == result["summary"]
    page = (output / "results.md").read_text()
    for word in (
        "| mean |",
        "| median |",
        "visual hulls",
        "| IoU, higher is better | recipe | prior off |",
        "marked `!`: 1",
    ):
        assert word in page

    again = Truth(dataset, output)
    more = eval_image_to_mesh(dataset, output, recipe, objects=2, make=again)
    assert len({name for name, _ in again.calls}) == 1  # only the second
    assert {name: more["objects"][name] for name in result["objects"]} == result["objects"]
    with pytest.raises(BadInput, match="another recipe"):
        eval_image_to_mesh(dataset, output, recipe, overrides=["steps=9"], make=again)


def test_missing_weights_end_the_evaluation(dataset, recipe, tmp_path):
    def make(*_):
        raise Unavailable("no weights")

    with pytest.raises(Unavailable, match="no weights"):
        eval_image_to_mesh(dataset, tmp_path / "out", recipe, objects=1, make=make)
    assert not (tmp_path / "out" / "results.json").exists()


def test_summary_is_mean_and_median():
    objects = {
        str(at): {"columns": {"recipe": {"iou": value, "chamfer": 1 - value}, "sphere": {"iou": 0.5, "chamfer": 0.1}}}
        for at, value in enumerate((0.0, 0.1, 0.8))
    }
    figures = summary(objects)
    assert list(figures) == ["recipe", "sphere"]
    assert figures["recipe"]["iou"] == pytest.approx({"mean": 0.3, "median": 0.1})
    assert figures["recipe"]["chamfer"] == pytest.approx({"mean": 0.7, "median": 0.9})


def test_command_runs_a_recipe_with_and_without_its_prior(dataset, recipe, tmp_path, capsys):
    output = tmp_path / "out"
    assert run(dataset, "--recipe", recipe, "--objects", 1, "--output", output, "--json", "seed=3") == 0
    result = json.loads(capsys.readouterr().out)
    ((name, one),) = result["objects"].items()
    assert list(result["summary"]) == ["recipe", "prior off", "extruded", "sphere"]
    for column in ("recipe", "prior_off"):
        assert (output / name / column / "asset" / "asset.glb").is_file()
        assert not (output / name / column / "turntable.mp4").exists()
        resolved = (output / name / column / "resolved.yaml").read_text()
        assert ("opacity" in resolved) == (column == "recipe")
        assert f"elevation_deg: {one['elevation_deg']}" in resolved
    assert 0 < one["columns"]["recipe"]["iou"] < 1
    assert result["protocol"]["overrides"] == ["seed=3"]


def test_command_refuses_what_is_no_recipe_or_dataset(dataset, recipe, tmp_path, capsys):
    assert run(dataset, "--recipe", tmp_path / "absent.yaml", "--output", tmp_path / "out") == 2
    assert "absent.yaml" in capsys.readouterr().err
    assert run(dataset, "--recipe", recipe, "--output", tmp_path / "out", "guidance.input_view.wieght=3") == 2
    assert "wieght" in capsys.readouterr().err
    assert run(tmp_path / "nowhere", "--recipe", recipe, "--output", tmp_path / "out") == 2
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
