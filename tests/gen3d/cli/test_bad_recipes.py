"""Whatever is wrong with a recipe: one message with place, cause and remedy, the exit code, and nothing left behind."""

import copy
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

import core_toys
from core_toys import RECIPE, core_plugins, write_recipe
from gen3d.errors import Gen3dError
from gen3d.plugins import Plugins, load_plugins
from gen3d.recipe import Recipe, find
from gen3d.run import Run
from gen3d.run_directory import dump_yaml

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


NASTY = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            -1,
            0,
            1,
            10**18,
            10**400,
            0.5,
            float("nan"),
            float("inf"),
            "",
            "x",
            "a" * 300,
            "\0",
            "../..",
            "é",
            "\ud800",
        ]
    ),
    st.sampled_from(
        ["${seed}", "${stages}", "${guidance}", "${", "${}", "${a.b}", "50%", "ramp", "null", "auto", "rgb"]
    ),
    st.sampled_from(
        [[], {}, [1, 2], [2, 1], [[]], {"type": "x"}, {"type": None}, {"0": 1, "50%": 2}, {"ramp": 3}, {"a": {}}]
    ),
    st.recursive(
        st.integers(-1, 1), lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=2)
    ),
)


def containers(node: Any) -> list[Any]:
    """Every map and list of a tree, itself first."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return ([node] if isinstance(node, dict | list) else []) + [found for item in inner for found in containers(item)]


@st.composite
def mutated(draw: st.DrawFn, base: dict[str, Any]) -> dict[str, Any]:
    """A recipe with one to three values replaced, removed, renamed or added."""
    recipe = copy.deepcopy(base)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(containers(recipe)))
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        action = draw(st.sampled_from(["replace", "remove", "rename", "add"]))
        if action == "add" or not keys:
            place.append(draw(NASTY)) if isinstance(place, list) else place.update(
                {draw(st.text(max_size=8)): draw(NASTY)}
            )
            continue
        key = draw(st.sampled_from(keys))
        if action == "rename" and isinstance(place, dict):
            place[draw(st.sampled_from([*keys, "type", "weight", "x"]))] = place.pop(key)
        elif action == "remove":
            del place[key]
        else:
            place[key] = draw(NASTY)
    return recipe


def plain_yaml(text: str) -> Any:
    """A recipe without comments, to mutate."""
    return YAML(typ="safe", pure=True).load(text)


def only_gen3d_errors(
    folder: Path, content: bytes, plugins: Plugins, overrides: list[str], profile: str | None
) -> None:
    """Load and build a recipe, all but running it."""
    path = folder / "r.yaml"
    path.write_bytes(content)
    try:
        run = Run(Recipe.load(path, overrides, profile), plugins)
        run.check()
        dump_yaml(run.recipe.resolved())
    except Gen3dError as error:
        told = error
    else:
        told = Gen3dError("it is valid")
    assert told.exit_code in {2, 3, 4}
    assert told.cause
    assert [found.name for found in folder.iterdir()] == ["r.yaml"]


SETTINGS = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_yaml(recipe: Any) -> bytes:
    """YAML of anything, also of what is no Unicode."""
    stream = io.BytesIO()
    YAML(typ="safe", pure=True).dump(recipe, stream)
    return stream.getvalue()


@SETTINGS
@given(mutated(plain_yaml(core_toys.STAGED)), st.sampled_from([None, "mini", "x"]))
def test_mutated_recipes_raise_only_messages(tmp_path: Path, recipe: dict[str, Any], profile: str | None) -> None:
    only_gen3d_errors(tmp_path, as_yaml(recipe), core_plugins(), [], profile)


@SETTINGS
@given(
    st.text(st.sampled_from("{}[]:,-*&!|>'\"%@`#? \n\tab1$~\\."), max_size=12),
    st.integers(0, len(core_toys.STAGED)),
    st.integers(0, 10),
)
def test_mutated_text_raises_only_messages(tmp_path: Path, text: str, at: int, cut: int) -> None:
    broken = core_toys.STAGED[:at] + text + core_toys.STAGED[at + cut :]
    only_gen3d_errors(tmp_path, broken.encode(), core_plugins(), [], None)


@SETTINGS
@given(
    st.sampled_from(
        ["seed", "steps", "guidance", "guidance.paint", "guidance.paint.color", "stages.shape", "inputs", "x"]
    ),
    st.one_of(st.text(max_size=12), NASTY.map(str)),
)
def test_overrides_raise_only_messages(tmp_path: Path, key: str, value: str) -> None:
    only_gen3d_errors(tmp_path, core_toys.STAGED.encode(), core_plugins(), [f"{key}={value}"], None)


@pytest.mark.timeout(400)  # it imports every backend there is, for the first time
@settings(SETTINGS, max_examples=15)
@given(st.data())
def test_mutated_shipped_recipes_raise_only_messages(tmp_path: Path, shipped: Plugins, data: st.DataObject) -> None:
    recipe = data.draw(mutated(plain_yaml(find("zero123_sjc").read_text(encoding="utf-8"))))
    overrides = ["inputs=null", "stages.shape.representation.resolution=8"]
    only_gen3d_errors(tmp_path, as_yaml(recipe), shipped, overrides, data.draw(st.sampled_from([None, "mini"])))


@pytest.fixture(scope="module")
def shipped() -> Plugins:
    """The plugins of this repository."""
    return load_plugins()
