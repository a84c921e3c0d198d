"""What the small commands print and write."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import core_toys
from core_toys import RECIPE, write_recipe


def test_recipes_are_listed_with_what_they_are(gen3d: Any) -> None:
    answer = gen3d("recipes")
    assert answer.code == 0
    assert any(line.startswith("zero123_sjc ") and "->" in line for line in answer.out.splitlines())


def test_cat_prints_a_recipe_as_it_is(gen3d: Any) -> None:
    from gen3d.recipe import find

    assert gen3d("recipes", "cat", "zero123_sjc").out == find("zero123_sjc").read_text()
    answer = gen3d("recipes", "cat", "zero123_sjk")
    assert answer.code == 2
    assert "did you mean 'zero123_sjc'?" in answer.err


def test_cp_copies_to_a_file_or_a_folder_and_overwrites_nothing(gen3d: Any, tmp_path: Path) -> None:
    text = gen3d("recipes", "cat", "zero123_sjc").out
    for target, path in (((), "zero123_sjc.yaml"), (("new/mine.yaml",), "new/mine.yaml")):
        answer = gen3d("recipes", "cp", "zero123_sjc", *target)
        assert (answer.code, answer.out) == (0, f"{path}\n")
        assert (tmp_path / path).read_text() == text
    (tmp_path / "zero123_sjc.yaml").write_text("mine")
    answer = gen3d("recipes", "cp", "zero123_sjc", ".")
    assert answer.code == 2
    assert "already exists" in answer.err
    assert (tmp_path / "zero123_sjc.yaml").read_text() == "mine"


def test_cp_where_nothing_can_be_written(gen3d: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = gen3d("recipes", "cp", "zero123_sjc", "file/below.yaml")
    assert answer.code == 2
    assert "cannot be written" in answer.err


@pytest.mark.usefixtures("toys_only")
def test_describe_shows_keys_types_defaults_and_meanings(gen3d: Any) -> None:
    answer = gen3d("describe", "guidance", "toward")
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "guidance toward (plugin core_toys)",
        "",
        "Pull the pixels towards a colour, with a little noise of its own stream.",
        "",
        "  color: [a number, a number, a number], required",
        "      sRGB.",
        "  needs: a list, each text, default []",
        "      outputs to ask for besides the image.",
        "  own_camera: true or false, default false",
        "      look from a camera that all such terms share, not from the random ones.",
        "  weight: a number or schedule, default 1",
        "      factor of the loss; 0 switches the term off",
    ]
    assert gen3d("describe", "guidance").out.split() == ["guidance", "toward,", "trouble"]
    assert [line.split()[0] for line in gen3d("describe").out.splitlines()][:2] == ["representation", "renderer"]


@pytest.mark.usefixtures("toys_only")
@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(("guidence",), "did you mean 'guidance'?"), (("guidance", "towrad"), "did you mean 'toward'?")],
)
def test_describe_helps_with_spelling(gen3d: Any, arguments: tuple[str, ...], hint: str) -> None:
    answer = gen3d("describe", *arguments)
    assert answer.code == 2
    assert hint in answer.err


@pytest.mark.timeout(400)  # it imports every backend there is, for the first time
def test_every_component_of_this_repository_can_be_described(gen3d: Any) -> None:
    from gen3d.build import parameters
    from gen3d.plugins import installed

    for (kind, name), component in installed().registry.components.items():
        answer = gen3d("describe", kind, name)
        assert answer.code == 0, answer.err
        lines = answer.out.splitlines()
        for key in parameters(component.load()):
            (row,) = [index for index, line in enumerate(lines) if line.startswith(f"  {key}: ")]
            assert lines[row + 1].startswith(" " * 6), f"{kind} {name}: {key} has no line in the docstring's Args"


def test_distill_is_described(gen3d: Any) -> None:
    text = gen3d("describe", "guidance", "distill").out
    assert "  prior: a prior, required" in text
    assert "  objective: an objective, required" in text
    assert "  t_min: a number or schedule, default " in text


def test_doctor_says_what_there_is(gen3d: Any) -> None:
    answer = gen3d("doctor")
    assert answer.code == 0
    topics = {line.split()[0]: line for line in answer.out.splitlines()}
    assert {"gen3d", "python", "torch", "device", "nerfacc", "plugins"} <= set(topics)
    assert {"hash_grid", "volume", "raster"} <= set(topics)  # each says who does it, and why
    if not torch.cuda.is_available():
        assert topics["hash_grid"].split(maxsplit=1)[1].startswith("torch: triton and tinycudann need CUDA")


@pytest.mark.usefixtures("toys_only")
def test_plugins_lists_what_works_and_what_does_not(
    gen3d: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.setenv("GEN3D_PLUGINS", f"{core_toys.__file__},{tmp_path / 'broken.py'}")
    answer = gen3d("plugins", "--json")
    assert answer.code == 0
    good, bad = json.loads(answer.out)
    assert list(good) == list(bad) == ["name", "version", "status", "error", "provides"]
    assert (good["name"], good["status"], good["error"]) == ("core_toys", "ok", None)
    assert "guidance:toward" in good["provides"]
    error = "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"
    assert bad == {"name": "broken", "version": "file", "status": "failed", "error": error, "provides": []}
    assert [line.split()[0] for line in gen3d("plugins").out.splitlines()] == ["core_toys", "broken"]
    assert error in gen3d("plugins").out
    assert f"broken failed: {error}" in gen3d("doctor").out


def test_no_plugins_at_all_has_a_remedy(gen3d: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gen3d.plugins import installed

    monkeypatch.setattr("gen3d.plugins.entry_points", lambda group: [])
    installed.cache_clear()
    try:
        assert gen3d("plugins", "--json").out == "[]\n"
        assert "pip install -e ." in gen3d("plugins").out
        assert "pip install -e ." in gen3d("doctor").out
    finally:
        installed.cache_clear()


@pytest.mark.usefixtures("toys_only")
def test_run_runs_and_a_dry_run_writes_nothing(gen3d: Any, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    dry = gen3d("run", recipe, "steps=2", "--dry-run")
    assert dry.code == 0
    assert "steps: 2" in dry.out
    assert dry.out.endswith("# valid: main (2 steps) on cpu; nothing was loaded or written\n")
    assert [path.name for path in tmp_path.iterdir()] == ["toy.yaml"]
    (tmp_path / "again.yaml").write_text(dry.out)
    assert gen3d("run", "again.yaml", "--dry-run").out == dry.out  # what is printed is a recipe
    answer = gen3d("run", recipe, "steps=2", "output=out", "export.type=words")
    assert answer.code == 0, answer.err
    assert (tmp_path / "out" / "asset" / "asset.json").is_file()


@pytest.mark.usefixtures("toys_only")
def test_a_dry_run_loads_no_weights(gen3d: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(*_: object) -> None:
        raise AssertionError("bind is where weights load")

    monkeypatch.setattr("gen3d.stage.StageParts.bind", bind)
    assert gen3d("run", write_recipe(tmp_path), "--dry-run").code == 0


@pytest.mark.usefixtures("toys_only")
def test_a_dry_run_applies_the_profile(gen3d: Any, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, RECIPE + "profiles: {mini: {steps: 1}}\n")
    assert "main (1 steps)" in gen3d("run", recipe, "--profile", "mini", "--dry-run").out


@pytest.mark.usefixtures("toys_only")
@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [("loss", 5, "trouble stayed not finite for 20 steps"), ("memory", 4, "can't allocate memory")],
)
def test_a_run_that_fails_has_its_exit_code(gen3d: Any, tmp_path: Path, kind: str, code: int, message: str) -> None:
    answer = gen3d(
        "run", write_recipe(tmp_path), "steps=25", f"guidance.trouble={{type: trouble, kind: {kind}}}", "output=o"
    )
    assert answer.code == code
    assert message in answer.err
    assert json.loads((tmp_path / "o" / "run.json").read_text())["status"] == "failed"


@pytest.mark.usefixtures("toys_only")
def test_export_writes_the_object_of_a_run_again(gen3d: Any, tmp_path: Path) -> None:
    assert gen3d("run", write_recipe(tmp_path), "output=out", "export.type=words").code == 0
    answer = gen3d("export", "out", "elsewhere")
    assert (answer.code, answer.out) == (0, "elsewhere/asset.json\n")
    first, again = (
        json.loads((tmp_path / path).read_text()) for path in ("out/asset/asset.json", "elsewhere/asset.json")
    )
    assert first == again


@pytest.mark.usefixtures("toys_only")
def test_export_says_what_it_lacks(gen3d: Any, tmp_path: Path) -> None:
    assert gen3d("run", write_recipe(tmp_path), "output=out").code == 0
    for arguments, message in (
        (("nowhere",), "is no run directory"),
        (("out",), "the recipe has no exporter"),
        (("out", "tyep=words"), "export"),
    ):
        answer = gen3d("export", *arguments)
        assert answer.code == 2, answer
        assert message in answer.err
    (final,) = (tmp_path / "out" / "checkpoints").iterdir()
    final.write_bytes(final.read_bytes()[:20])
    assert "damaged" in gen3d("export", "out", "type=words").err
    final.unlink()
    assert "has no checkpoint yet\n  first: gen3d resume out" in gen3d("export", "out", "type=words").err
