"""Whatever is wrong with a recipe or an override: a message that names it, soon, and never a traceback."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import core_toys
from core_toys import core_plugins
from fuzzing import NASTY, Change, as_yaml, changed, often, plain_yaml, told
from gen3d.plugins import Plugins, load_plugins
from gen3d.recipe import Recipe, available
from gen3d.run import Run
from gen3d.run_directory import dump_yaml

TOYS = core_plugins()
OVERRIDES = [
    *("seed", "steps", "gen3d", "name", "inputs", "inputs.prompt", "cameras.size", "cameras.radius", "optimizer.lr"),
    *("guidance", "guidance.paint", "guidance.paint.color", "guidance.paint.weight", "guidance.new", "export.type"),
    *(
        "representation",
        "representation.particles",
        "stages",
        "stages.shape",
        "stages.shape.steps",
        "stages.color.from",
    ),
    *("device", "checkpoint_every", "profiles", "profiles.mini", "x", "seed.x", "guidance.paint.color.0", "stages.é"),
]


def message(folder: Path, content: bytes, plugins: Plugins, overrides: list[str], profile: str | None = None) -> str:
    """What a person is told of a recipe by all that comes before its first step; nothing is left behind."""
    path = folder / "r.yaml"
    path.write_bytes(content)

    def start() -> None:
        run = Run(Recipe.load(path, overrides, profile), plugins)
        run.check()
        dump_yaml(run.recipe.resolved())

    result = told(start)
    assert [found.name for found in folder.iterdir()] == ["r.yaml"]
    return result


@often(12_000, 120)
@given(changed(plain_yaml(core_toys.STAGED)), st.sampled_from([None, None, "mini"]))
def test_a_changed_recipe(tmp_path_factory: pytest.TempPathFactory, change: Change, profile: str | None) -> None:
    shown = message(folder_of(tmp_path_factory), as_yaml(change.recipe), TOYS, [], profile)
    assert not shown or any(name in shown for name in {*change.names, *([profile] if profile else [])}), shown


EVIL = ["&a ", "*a", "<<: *a", "!!python/object/apply:os.system [ls]", "? ", "%YAML 1.3\n---\n", "%YAML 9.9\n---\n"]
EVIL += ["\t", "\ufeff", "\0", "\x85", "\u2028", "- ", "|", ">", "{", "[", "}", "]", "'", '"', ": ", "#", "\n", "\n  "]
EVIL += [
    "${seed}",
    "${",
    "0x" + "f" * 3000,
    "9" * 4000,
    "1e999",
    ".nan",
    "-.inf",
    "2001-01-01",
    "!!set {a}",
    "~",
    "=",
    "!x ",
]
EVIL += [
    "---\n",
    "...\n",
    "!!binary x",
    "!!float x",
    "!!int x",
    "1_0",
    "0o9",
    "[[[[[[[[",
    "yes",
    "\\",
    "@",
    "`",
    "a: b: c",
]


@often(5_000, 60)
@given(
    st.lists(st.sampled_from(EVIL), min_size=1, max_size=3).map("".join),
    st.integers(0, len(core_toys.STAGED)),
    st.integers(0, 10),
)
def test_changed_text(tmp_path_factory: pytest.TempPathFactory, text: str, at: int, cut: int) -> None:
    broken = core_toys.STAGED[:at] + text + core_toys.STAGED[at + cut :]
    shown = message(folder_of(tmp_path_factory), broken.encode(), TOYS, [])
    assert not shown or "r.yaml" in shown


@often(2_500, 60)
@given(st.sampled_from(OVERRIDES), st.one_of(st.text(max_size=12), st.sampled_from(EVIL), NASTY.map(str)))
def test_an_override(tmp_path_factory: pytest.TempPathFactory, key: str, value: str) -> None:
    shown = message(folder_of(tmp_path_factory), core_toys.STAGED.encode(), TOYS, [f"{key}={value}"])
    assert not shown or any(name in shown for name in key.split(".")[-2:]), shown


@pytest.mark.timeout(0)
@often(500, 6)
@given(data=st.data())
def test_a_changed_shipped_recipe(
    tmp_path_factory: pytest.TempPathFactory, shipped: Plugins, data: st.DataObject
) -> None:
    recipe = data.draw(st.sampled_from([path for path in available() if path.parent.name != "train"]))  # of runs
    base = plain_yaml(recipe.read_text(encoding="utf-8")) | {"inputs": {"prompt": "an owl"}}
    change = data.draw(changed(base))
    profile = data.draw(st.sampled_from([None, "mini"]))
    shown = message(folder_of(tmp_path_factory), as_yaml(change.recipe), shipped, [], profile)
    names = {*change.names, "inputs.image", "inputs.run", "mini"}  # what the recipe lacks anyway
    assert not shown or any(name in shown for name in names), shown


@pytest.fixture(scope="module")
def shipped() -> Plugins:
    """The plugins of this repository."""
    return load_plugins()


def folder_of(factory: pytest.TempPathFactory) -> Path:
    """The one folder of all examples, which is empty but for the recipe."""
    folder = factory.getbasetemp() / "fuzzed-recipes"
    folder.mkdir(exist_ok=True)
    return folder


def doubling(form: str, count: int = 60) -> str:
    """Each value twice the one before."""
    return "".join(f"a{i}: {form.format(i - 1)}\n" for i in range(1, count)) + "a0: [x]\n"


BOMBS: dict[str, tuple[bytes, str]] = {
    "aliases": (
        b"a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 35)).encode(),
        "more than 20000 values",
    ),
    "an alias of itself": (b"seed: &a [*a]\n", "seed"),
    "references to maps": (doubling('["${{a{0}}}", "${{a{0}}}"]').encode(), "references|more than 20000 values"),
    "references in texts": (doubling('"${{a{0}}}${{a{0}}}"').encode(), "references|longer than"),
    "a chain of references": (
        "".join(f'a{i}: "${{a{i + 1}}}"\n' for i in range(900)).encode() + b"a900: 1\n",
        "a0: nested deeper than 40 levels, or 10 references",
    ),
    "nested maps": ("".join(f"{' ' * i}a:\n" for i in range(300)).encode(), "nested deeper"),
    "nested lists": (b"seed: " + b"- " * 3000, "r.yaml"),
    "brackets": (b"seed: " + b"[" * 50_000, "nested deeper"),
    "a long file": (b"seed: 1 # " + b"x" * 200_000, "longer than 100000 characters"),
    "a very long file": (b"seed: 1 # " + b"x" * 20_000_000, "longer than 100000 characters"),
    "a number that cannot be printed": (b"seed: 0x" + b"f" * 9000, "seed: a number of 10800 digits"),
    "a key that cannot be printed": (b"0x" + b"f" * 9000 + b": 1\n", "r.yaml"),
    "a number of many digits": (b"seed: " + b"9" * 5000, "r.yaml"),
    "a key twice": (b"seed: 1\nseed: 2\n", "r.yaml:2.*seed"),
    "a key twice, once as a number": (b"1: a\n'1': b\n", "'1' is there twice"),
    "UTF-16": ("seed: 1\n".encode("utf-16"), "no UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "no UTF-8"),
    "nothing": (b"", "no recipe"),
    "zeros": (bytes(1000), "r.yaml"),
    "a version of YAML": (b"%YAML 7.7\n---\nseed: 1\n", "r.yaml"),
    "two documents": (b"seed: 1\n---\nseed: 2\n", "r.yaml"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_defused_and_named(tmp_path: Path, name: str) -> None:
    import re

    content, expected = BOMBS[name]
    shown = message(tmp_path, content, TOYS, [])
    assert "r.yaml" in shown
    assert re.search(expected, shown, re.DOTALL), shown


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("a." * 2000 + "b=1", "is no override"),
        ("seed=" + "[" * 100_000, "command line: seed"),
        ("seed=0x" + "f" * 9000, "command line: seed"),
        ("guidance.paint.noise=.nan", "guidance.paint.noise"),
        ("cameras.center_jitter=.nan", "cameras.center_jitter: nan does not fit: it is not finite"),
        ("cameras.radius=[1, .inf]", "cameras.radius: inf does not fit: it is not finite"),
        ("stages.shape.steps=100000000", "stages.shape.steps: 100000000 does not fit\n  it is from 1 to 99999999"),
        ("representation.particles=1000000000", "representation.particles: 1000000000 particles cannot be"),
        ("gen3d=2", "gen3d: format 2 is not known"),
        ("name=${name}", "name: a cycle of references"),
    ],
)
def test_an_override_that_would_take_for_ever_or_mean_nothing(tmp_path: Path, override: str, expected: str) -> None:
    shown = message(tmp_path, core_toys.STAGED.encode(), TOYS, [override])
    assert expected in shown


def test_the_recipe_itself_is_valid(tmp_path: Path) -> None:
    base: Any = plain_yaml(core_toys.STAGED)
    assert [message(tmp_path, as_yaml(base), TOYS, [], profile) for profile in (None, "mini")] == ["", ""]
