"""The evaluation of prompts: runs of first stages, what they are named, and what is kept when one is interrupted."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

import core_toys
from gen3d.checkpoint import load_checkpoint
from gen3d.cli import main
from gen3d.errors import BadInput, OutOfMemory
from gen3d_training import train_classifier
from gen3d_training.eval_text_to_3d import RECIPES, eval_text_to_3d
from gen3d_training.evaluation import quiet_plugins
from gen3d_training.first_stage import VIEWS, FirstStage, around, load_pictures, make, save_pictures
from gen3d_training.text_scores import saturation
from kind_views import COLORS, write_kinds
from tiny_stable_diffusion import write_tiny_stable_diffusion

BROWN = [round(value / 255, 2) for value in COLORS["crate"]]
PAINT = f"""
gen3d: 1
inputs: {{prompt: a tree}}
renderer: {{type: volume, background: white}}
cameras: {{views: 1, size: 8, radius: [1.8, 1.8]}}
guidance: {{paint: {{type: toward, color: {BROWN}}}}}
optimizer: {{type: adam, lr: 0.3}}
export: {{type: game_mesh}}
stages:
  coarse:
    steps: 12
    representation: {{type: voxel, resolution: 6, channels: rgb, box: 0.35, density_shift: 20}}
  fine: {{steps: 1, from: coarse}}
profiles: {{short: {{stages: {{coarse: {{steps: 2}}}}}}}}
"""
"""An opaque cube that becomes brown, whatever the prompt says."""

DISTILL = """
gen3d: 1
renderer: {{type: volume, background: white}}
cameras: {{views: 1, size: 16}}
steps: 1
representation: {{type: voxel, resolution: 6, channels: rgb}}
guidance:
  text:
    type: distill
    prior: {{type: stable_diffusion, weights: {weights}, view_prompts: none}}
    objective: {{type: sds}}
"""
PROMPTS = "a brown crate\na green tree\n"


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_kinds(tmp_path_factory.mktemp("views"))


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEN3D_PLUGINS", core_toys.__file__)
    monkeypatch.setattr(train_classifier, "STEPS", 16)


@pytest.fixture(scope="module")
def trained(views: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier's folder of an evaluation, so that one training does for all of them."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "paint.yaml").write_text(PAINT)
    (folder / "prompts.txt").write_text(PROMPTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN3D_PLUGINS", core_toys.__file__)
        patch.setattr(train_classifier, "STEPS", 16)
        evaluate(views, folder, folder / "paint.yaml", folder / "prompts.txt", only=["tree"], particles=1)
    return folder / "out" / "classifier"


@pytest.fixture
def paint(tmp_path: Path) -> Path:
    path = tmp_path / "paint.yaml"
    path.write_text(PAINT)
    return path


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text(PROMPTS)
    return path


def stage(path: Path, *overrides: str, profile: str | None = None) -> FirstStage:
    return FirstStage(path, profile, [*overrides], quiet_plugins())


# The first stage


def test_only_the_first_stage_runs_and_nothing_is_exported(paint: Path, tmp_path: Path) -> None:
    run = stage(paint, profile="short").run("a crate: 'red' #1", output=tmp_path / "run")
    run.start()
    assert list(run.objects) == ["coarse"]
    assert run.outputs == []
    assert run.inputs.prompt == "a crate: 'red' #1"
    state = load_checkpoint(tmp_path / "run" / "checkpoints" / "coarse-final.safetensors")
    assert state["step"] == 2


@pytest.mark.parametrize(("staged", "steps"), [(True, 36), (False, 15)])
def test_each_particle_gets_as_many_steps_as_one_object(
    paint: Path, tmp_path: Path, *, staged: bool, steps: int
) -> None:
    if not staged:
        paint.write_text(PAINT.partition("stages:")[0] + "steps: 5\nrepresentation: {type: voxel, resolution: 6}\n")
    run = stage(paint).run("a tree", particles=3)
    (parts,) = run.stages
    assert parts.steps == steps
    assert len(parts.representation.members) == 3


@pytest.mark.parametrize(("recipe", "name"), zip(RECIPES, ["field", "main"], strict=True))
def test_the_shipped_recipes_have_a_first_stage(recipe: str, name: str) -> None:
    run = FirstStage(recipe, "mini", ["representation.resolution=8"], quiet_plugins()).run(
        "a red mushroom", particles=4
    )
    run.check()
    (parts,) = run.stages
    assert (parts.name, run.exporter) == (name, None)
    assert parts.steps >= 4 * 100
    assert len(parts.representation.members) == 4


def test_objects_are_drawn_in_their_own_colours_without_the_background(paint: Path, tmp_path: Path) -> None:
    cameras = around(math.radians(49.1), 16)
    white = make(stage(paint), "a tree", 1, tmp_path / "white", cameras).pictures
    still = ["guidance.paint.weight=0"]
    grey, red = (
        make(stage(paint, *still, *more), "a tree", 1, tmp_path / name, cameras).pictures
        for name, more in (("grey", []), ("red", ["renderer.background=[1, 0, 0]"]))
    )
    assert white.shape == (1, VIEWS, 16, 16, 4)
    assert np.array_equal(grey, red)
    assert white[..., 3].max() == 255
    assert white[0, :, 0, 0, 3].max() == 0
    middle = white[0, :, 8, 8, :3].astype(int)
    assert abs(middle - np.array(COLORS["crate"])).max() < 45
    assert abs(grey[0, :, 8, 8, :3].astype(int) - 128).max() < 30


def test_what_a_run_costs_is_told(paint: Path, tmp_path: Path) -> None:
    about = make(stage(paint, profile="short"), "a tree", 1, tmp_path / "run", around(0.8, 8)).about
    assert 0 < about["seconds"] < 60
    assert about["memory_mib"]["resident"] > 50
    assert about["warnings"] == []


def test_pictures_are_the_same_when_they_are_read_again(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, VIEWS, 8, 8, 4), dtype=np.uint8)
    save_pictures(pictures, tmp_path / "new" / "pictures.png")
    assert np.array_equal(load_pictures(tmp_path / "new" / "pictures.png"), pictures)
    with Image.open(tmp_path / "new" / "pictures.png") as image:
        assert np.array_equal(np.asarray(image)[8:16, 16:24], pictures[1, 2])


def test_weights_are_known_by_what_they_hold(tmp_path: Path) -> None:
    weights = write_tiny_stable_diffusion(tmp_path / "weights")
    path = tmp_path / "distill.yaml"
    path.write_text(DISTILL.format(weights=weights))
    before = stage(path).resolved()
    assert list(before["weights"]) == [f"stable_diffusion: {weights}"]
    assert stage(path).resolved() == before
    (weights / "scheduler" / "scheduler_config.json").write_text("{}")
    assert stage(path).resolved()["weights"] != before["weights"]
    assert stage(path).resolved()["recipe"] == before["recipe"]
    path.write_text(DISTILL.format(weights="sd-1.5"))
    assert stage(path).resolved()["weights"] == {"stable_diffusion: sd-1.5": "published"}


# The evaluation


@pytest.fixture
def output(trained: Path, tmp_path: Path) -> Path:
    """Of an evaluation that has its classifier."""
    shutil.copytree(trained, tmp_path / "out" / "classifier")
    return tmp_path / "out"


def evaluate(views: Path, tmp_path: Path, paint: Path, prompts: Path, **more: Any) -> dict[str, Any]:
    return eval_text_to_3d(views, tmp_path / "out", [paint], prompts=prompts, **{"particles": 2, **more})


@pytest.mark.usefixtures("output")
def test_a_brown_cube_is_a_crate_and_no_tree(views: Path, tmp_path: Path, paint: Path, prompts: Path) -> None:
    told: list[tuple[Any, ...]] = []
    result = evaluate(views, tmp_path, paint, prompts, report=lambda *told_: told.append(told_[:4]))
    recipe = result["recipes"]["paint"]
    crate, tree = (recipe["prompts"][prompt] for prompt in PROMPTS.split("\n")[:2])
    assert (crate["named"], crate["right"], crate["rank"], crate["share"]) == ("crate", True, 1, 1.0)
    assert (tree["named"], tree["right"], tree["share"]) == ("crate", False, 0.0)
    assert tree["rank"] > 1
    assert crate["real_saturation"] == pytest.approx(0.75, abs=0.01)
    pictures = load_pictures(tmp_path / "out" / "paint" / "a_brown_crate" / "pictures.png")
    assert crate["saturation"] == pytest.approx(saturation(torch.tensor(pictures).float() / 255))
    assert 0.3 < crate["saturation"] < 0.75  # on its way
    assert tree["real_saturation"] == pytest.approx(130 / 160, abs=0.01)
    assert (recipe["summary"]["right"], recipe["summary"]["of"]) == (1, 2)
    several = recipe["particles"]
    assert several["named"] == ["crate", "crate"]
    assert 0 < several["diversity"] < 0.2
    assert told == [("paint", p, n, 3) for n, p in enumerate(["a brown crate", "a green tree", "a brown crate"], 1)]
    assert result["classifier"]["views"]["right"] > 0.9

    output = tmp_path / "out"
    assert json.loads((output / "results.json").read_text())["recipes"] == result["recipes"]
    page = (output / "results.md").read_text()
    for words in ("1 of 2", "| crate (wrong) |", "chance is 33.3%", "- diversity: root mean square", "3 kinds"):
        assert words in page
    with Image.open(output / "sheet.png") as sheet:
        assert sheet.height == 4 * 16  # two prompts, two particles
    assert not list(output.rglob("checkpoints"))
    assert not list(output.rglob("turntable.mp4"))


@pytest.mark.usefixtures("output")
def test_an_interrupted_evaluation_goes_on(views: Path, tmp_path: Path, paint: Path, prompts: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(views, tmp_path, paint, prompts, report=stop)
    folder = tmp_path / "out" / "paint"
    stored = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(stored["recipes"]["paint"]["prompts"]) == ["a brown crate"]
    (folder / "a_green_tree" / "run").mkdir(parents=True)
    (folder / "a_green_tree" / "run" / "run.json").write_text("{}")  # what a run without an end leaves
    times = [path.stat().st_mtime_ns for path in sorted((folder / "a_brown_crate").rglob("*"))]
    trained = (tmp_path / "out" / "classifier" / "classifier.safetensors").stat().st_mtime_ns
    result = evaluate(views, tmp_path, paint, prompts)
    assert len(result["recipes"]["paint"]["prompts"]) == 2
    assert times == [path.stat().st_mtime_ns for path in sorted((folder / "a_brown_crate").rglob("*"))]
    assert trained == (tmp_path / "out" / "classifier" / "classifier.safetensors").stat().st_mtime_ns


@pytest.mark.usefixtures("output")
def test_prompts_can_be_shared_between_calls(views: Path, tmp_path: Path, paint: Path, prompts: Path) -> None:
    first = evaluate(views, tmp_path, paint, prompts, only=["tree"])
    assert list(first["recipes"]["paint"]["prompts"]) == ["a green tree"]
    assert first["recipes"]["paint"]["particles"] is None
    both = evaluate(views, tmp_path, paint, prompts, only=["crate"], particles=1)
    assert list(both["recipes"]["paint"]["prompts"]) == ["a brown crate", "a green tree"]


@pytest.mark.usefixtures("output")
def test_another_recipe_is_not_mixed_in(views: Path, tmp_path: Path, paint: Path, prompts: Path) -> None:
    evaluate(views, tmp_path, paint, prompts, only=["tree"])
    with pytest.raises(BadInput, match="another recipe") as caught:
        evaluate(views, tmp_path, paint, prompts, overrides=["optimizer.lr=0.2"])
    assert str(tmp_path / "out" / "paint") in str(caught.value)
    shutil.rmtree(tmp_path / "out" / "paint")
    result = evaluate(views, tmp_path, paint, prompts, overrides=["optimizer.lr=0.2"], only=["tree"])
    assert result["protocol"]["overrides"] == ["optimizer.lr=0.2"]


@pytest.mark.usefixtures("output")
def test_a_changed_dataset_is_not_mixed_in(tmp_path: Path, paint: Path, prompts: Path) -> None:
    views = write_kinds(tmp_path / "views")
    evaluate(views, tmp_path, paint, prompts, only=["tree"])
    index = json.loads((views / "index.json").read_text())
    (views / "index.json").write_text(json.dumps({"objects": index["objects"][1:]}))
    (views / "views.npz").unlink()
    with pytest.raises(BadInput, match="classifier"):
        evaluate(views, tmp_path, paint, prompts, only=["tree"])


@pytest.mark.usefixtures("output")
def test_a_prompt_that_fails_is_named_and_loses_no_other(views: Path, tmp_path: Path, prompts: Path) -> None:
    recipe = tmp_path / "distill.yaml"
    recipe.write_text(DISTILL.format(weights=write_tiny_stable_diffusion(tmp_path / "weights")))
    prompts.write_text("a tree with words beyond the encoder\na crate\n")  # it reads 18 letters
    result = evaluate(views, tmp_path, recipe, prompts, particles=1)
    long, short = result["recipes"]["distill"]["prompts"].values()
    assert long["error"].startswith("BadInput: inputs.prompt")
    assert short["named"] in {"", "tree", "crate", "fish"}
    assert result["recipes"]["distill"]["summary"]["of"] == 2
    page = (tmp_path / "out" / "results.md").read_text()
    assert "- distill, 'a tree with words beyond the encoder': BadInput" in page
    assert "| a tree with words beyond the encoder | distill | failed |" in page


@pytest.mark.usefixtures("output")
def test_out_of_memory_ends_the_evaluation(views: Path, tmp_path: Path, paint: Path, prompts: Path) -> None:
    with pytest.raises(OutOfMemory):
        evaluate(views, tmp_path, paint, prompts, overrides=["guidance.trouble={type: trouble, kind: memory}"])
    assert not list((tmp_path / "out").rglob("result.json"))


@pytest.mark.usefixtures("output")
def test_an_object_that_cannot_be_seen_is_named_nothing(
    views: Path, tmp_path: Path, paint: Path, prompts: Path
) -> None:
    clear = ["stages.coarse.representation.density_shift=-20", "guidance.paint.weight=0"]
    result = evaluate(views, tmp_path, paint, prompts, overrides=clear, particles=1)
    for case in result["recipes"]["paint"]["prompts"].values():
        assert (case["named"], case["right"], case["rank"], case["saturation"]) == ("", False, 3, 0.0)


@pytest.mark.usefixtures("output")
def test_real_objects_are_compared_by_the_same_cameras(views: Path, tmp_path: Path, paint: Path, prompts: Path) -> None:
    (tmp_path / "meshes" / "pack").mkdir(parents=True)
    for at, depth in zip("abc", (0.2, 0.6, 1.0), strict=True):
        trimesh.creation.box((1, 1, depth)).export(tmp_path / "meshes" / "pack" / f"crate_{at}.glb")
    real = evaluate(views, tmp_path, paint, prompts, meshes=tmp_path / "meshes", only=["tree"], particles=3)["real"]
    assert sorted(real["objects"]) == [f"pack/crate_{at}" for at in "abc"]
    assert 0.05 < real["diversity"] < 0.6
    assert "| real objects |" in (tmp_path / "out" / "results.md").read_text()
    with pytest.raises(BadInput, match="3 of the dataset's objects"):
        evaluate(views, tmp_path, paint, prompts, meshes=tmp_path / "meshes", only=["tree"], particles=4)


# The command


def run(*arguments: object) -> object:
    with pytest.raises(SystemExit) as exit_:
        main(["eval", "text-to-3d", *map(str, arguments)])
    return exit_.value.code


@pytest.mark.usefixtures("output")
def test_the_command_prints_what_it_found(
    views: Path, tmp_path: Path, paint: Path, prompts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--recipe", paint, "--profile", "short", "--prompts", prompts, "--output", tmp_path / "out"]
    assert run(views, *settings, "--particles", 2, "seed=3") == 0
    text = capsys.readouterr().out
    for words in ("Classifier of 3 kinds", "chance is 33.3%", "1 of 2", "overrides: ['seed=3']"):
        assert words in text
    assert run(views, *settings, "--particles", 2, "seed=3", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["protocol"]["profile"] == "short"
    assert set(result["recipes"]["paint"]) == {"prompts", "particles", "summary"}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--recipe", "absent.yaml"], "absent.yaml"),
        (["--only", "tre"], "did you mean 'tree'"),
        (["--prompts", "absent.txt"], "absent.txt"),
        (["guidance.paint.wieght=3"], "wieght"),
        (["--meshes", "absent"], "absent"),
        (["stages.coarse.representation.channels=latent"], "channels=rgb"),
    ],
)
def test_the_command_says_what_is_wrong(
    views: Path,
    tmp_path: Path,
    paint: Path,
    prompts: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    word: str,
) -> None:
    settings = ["--recipe", paint, "--prompts", prompts, "--output", tmp_path / "out"]
    assert run(views, *settings, *arguments) == 2
    assert word in capsys.readouterr().err
    assert not (tmp_path / "out" / "classifier").exists()


def test_a_dataset_without_a_prompts_kind_is_refused(
    views: Path, tmp_path: Path, paint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(views, "--recipe", paint, "--output", tmp_path / "out") == 2
    assert "too few of 'mushroom'" in capsys.readouterr().err
    assert run(tmp_path, "--recipe", paint, "--output", tmp_path / "out") == 2
    assert "render-dataset" in capsys.readouterr().err


@pytest.mark.usefixtures("output")
def test_torch_is_left_as_it_was(views: Path, tmp_path: Path, paint: Path, prompts: Path) -> None:
    state = torch.random.get_rng_state()
    evaluate(views, tmp_path, paint, prompts, only=["tree"])
    assert torch.equal(torch.random.get_rng_state(), state)
