"""Whatever is wrong with a recipe: one message with place, cause and remedy, the exit code, and nothing left behind."""

from pathlib import Path
from typing import Any

import pytest

import core_toys
from core_toys import RECIPE, write_recipe

BASE = RECIPE + "seed: 3\nname: toy\nprofiles: {mini: {steps: 1}}\n"
COMPONENT_OF_BROKEN = BASE.replace("guidance:\n", "guidance:\n  broken: {type: broken}\n")


@pytest.mark.usefixtures("toys_only")
@pytest.mark.parametrize(
    ("text", "place", "cause", "remedy"),
    [
        (BASE + "sead: 1\n", "toy.yaml:12: sead", "unknown key 'sead'", "did you mean 'seed'?"),
        (BASE + "checkpoint_every: often\n", "toy.yaml:12: checkpoint_every", "'often' does not fit", "a whole number"),
        (
            BASE.replace("color:", "colour:"),
            "toy.yaml:7: guidance.paint.colour",
            "unknown key",
            "did you mean 'color'?",
        ),
        (
            BASE.replace("0.1, 0.2, 0.9", "0.1"),
            "toy.yaml:7: guidance.paint.color",
            "does not fit",
            "[a number, a number, a n",
        ),
        (BASE.replace("color:", "wieght: 3, color:"), "toy.yaml:7: guidance.paint.wieght", "unknown key", "'weight'?"),
        (BASE.replace("toward", "towards"), "toy.yaml:7: guidance.paint.type", "unknown guidance", "mean 'toward'?"),
        (BASE + "name: twice\n", "toy.yaml:12", "YAML syntax", "check indentation"),
        (BASE + "export: {type: words\n", "toy.yaml:13", "YAML syntax", "check indentation"),
        (
            BASE + 'output: "${device}"\ndevice: "${output}"\n',
            "output",
            "a cycle of references",
            "write one of them out",
        ),
        (BASE + 'output: "${nmae}"\n', "toy.yaml:12: output", "${nmae} names nothing", "did you mean 'name'?"),
        (BASE + "inputs: {image: gone.png}\n", "gone.png", "there is no such file", "give the path of a picture"),
        (BASE + "output: toy.yaml\n", "toy.yaml:12: output", "cannot be written", "choose another output"),
        ("", "toy.yaml", "is no recipe", "gen3d recipes"),
        ("- 1\n", "toy.yaml", "is no recipe", "gen3d recipes"),
    ],
)
def test_a_mistake_has_place_cause_and_remedy(
    gen3d: Any, tmp_path: Path, text: str, place: str, cause: str, remedy: str
) -> None:
    write_recipe(tmp_path, text)
    answer = gen3d("run", "toy.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert "Traceback" not in answer.err
    first, rest = answer.err.split("\n", 1)
    assert place in first
    assert cause in first
    assert remedy in rest
    assert [path.name for path in tmp_path.iterdir()] == ["toy.yaml"]


@pytest.mark.usefixtures("toys_only")
def test_a_component_of_a_broken_plugin_gets_that_error_and_code_3(
    gen3d: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.setenv("GEN3D_PLUGINS", f"{core_toys.__file__},{tmp_path / 'broken.py'}")
    write_recipe(tmp_path, COMPONENT_OF_BROKEN)
    answer = gen3d("run", "toy.yaml")
    assert answer.code == 3
    assert "guidance.broken.type: unknown guidance 'broken'" in answer.err
    assert (
        "plugin 'broken' failed to load: ModuleNotFoundError: No module named 'a_module_that_is_not_there'"
        in answer.err
    )
    assert not (tmp_path / "runs").exists()
    assert gen3d("run", "toy.yaml", "guidance.broken=null", "steps=1", "output=out").code == 0  # the rest works


@pytest.mark.usefixtures("toys_only")
def test_a_component_that_cannot_be_imported_gets_that_error_and_code_3(
    gen3d: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = "def register_components(registry):\n    registry.guidance('broken', 'gone:Gone')\n"
    (tmp_path / "lazy.py").write_text("import gen3d\n@gen3d.hookimpl\n" + register)
    monkeypatch.setenv("GEN3D_PLUGINS", f"{core_toys.__file__},{tmp_path / 'lazy.py'}")
    write_recipe(tmp_path, COMPONENT_OF_BROKEN)
    answer = gen3d("run", "toy.yaml", "--dry-run")
    assert answer.code == 3
    assert (
        "plugin lazy: guidance 'broken' cannot be imported: ModuleNotFoundError: No module named 'gone'" in answer.err
    )


@pytest.mark.usefixtures("toys_only")
@pytest.mark.parametrize("name", ["folder", "binary.yaml", "empty.yaml", "gone.yaml", "x" * 5000])
def test_what_is_no_recipe_at_all(gen3d: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    (tmp_path / "empty.yaml").touch()
    answer = gen3d("run", name)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {name}: ")
    assert not (tmp_path / "runs").exists()
