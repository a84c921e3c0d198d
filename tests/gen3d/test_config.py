"""Reading YAML, merging, references, and where each value was written."""

from pathlib import Path
from typing import Any

import pytest

from gen3d.config import Config, load_yaml, override, parse_override, resolve_references
from gen3d.errors import BadInput


def load(folder: Path, text: str) -> Config:
    """A Config from YAML."""
    path = folder / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return load_yaml(path)


def merged(base: Any, over: Any) -> Any:
    """Plain maps, merged."""
    return Config(base).merged(Config(over)).values


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 1, "b": 3, "c": 4}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": None}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"w": {"0": 1, "50%": 2}}, {"w": {"0": 5}}, {"w": {"0": 5}}),
        ({"w": {"ramp": {"0": 1}}}, {"w": {"0": 5}}, {"w": {"0": 5}}),
        ({"w": 1}, {"w": {"0": 5}}, {"w": {"0": 5}}),
        ({"p": {"type": "sds", "s": 1}}, {"p": {"type": "sjc"}}, {"p": {"type": "sjc"}}),
        ({"p": {"type": "sds", "s": 1}}, {"p": {"type": "sds", "t": 2}}, {"p": {"type": "sds", "s": 1, "t": 2}}),
        ({"p": {"type": "sds", "s": 1}}, {"p": {"t": 2}}, {"p": {"type": "sds", "s": 1, "t": 2}}),
        ({"p": {"type": "sds", "s": 1}}, {"p": "sjc"}, {"p": "sjc"}),
        ({"p": {"s": 1}}, {"p": {"type": "sds"}}, {"p": {"s": 1, "type": "sds"}}),
        ({"a": {}}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": {"x": 1}}, {"a": {}}, {"a": {"x": 1}}),
    ],
)
def test_merging(base: Any, over: Any, result: Any) -> None:
    before = repr((base, over))
    assert merged(base, over) == result
    assert repr((base, over)) == before


def test_every_key_knows_its_line(tmp_path: Path) -> None:
    config = load(tmp_path, "a:\n  b: 1\n  c: {d: 2,\n      e: 3}\n")
    for path, line in ((("a", "b"), 2), (("a", "c", "e"), 4)):
        assert config.place(path) == f"{tmp_path / 'r.yaml'}:{line}: {'.'.join(path)}"
    assert config.place(("a", "missing")) == f"{tmp_path / 'r.yaml'}:1: a.missing"
    assert config.place(("nowhere",)) == f"{tmp_path / 'r.yaml'}: nowhere"


def test_a_merged_value_keeps_the_place_of_the_last_word(tmp_path: Path) -> None:
    config = load(tmp_path, "a: {b: 1, c: 2}\np: {type: sds, s: 1}\n")
    config = config.merged(override(*parse_override("a.b=5"))).merged(override(*parse_override("p={type: sjc}")))
    assert config.place(("a", "b")) == "command line: a.b"
    assert config.place(("a", "c")).endswith("r.yaml:1: a.c")
    assert config.place(("p", "s")) == "command line: p.s"  # the file's s is gone


def test_a_sub_tree_keeps_its_places(tmp_path: Path) -> None:
    below = load(tmp_path, "stages:\n  one:\n    steps: 3\n").at(("stages", "one"))
    assert below.values == {"steps": 3}
    assert below.place(("steps",)).endswith("r.yaml:3: steps")


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("seed=1", ("seed",), 1),
        ("a.b=1e-2", ("a", "b"), 0.01),
        ("a=[1, 2]", ("a",), [1, 2]),
        ("a={b: {0: 1}}", ("a",), {"b": {"0": 1}}),
        ("a=null", ("a",), None),
        ("a=", ("a",), None),
        ("a=b=c", ("a",), "b=c"),
        ("a='1'", ("a",), "1"),
        ("a=C:/x y.png", ("a",), "C:/x y.png"),
    ],
)
def test_overrides(text: str, path: tuple[str, ...], value: Any) -> None:
    assert parse_override(text) == (path, value)


@pytest.mark.parametrize("text", ["seed", "=3", "a..b=1", ".a=1", "", "a=[1", "a={b: c: d}", "a=*x"])
def test_what_is_no_override_says_so(text: str) -> None:
    with pytest.raises(BadInput, match="command line"):
        parse_override(text)


def test_references_copy_values_and_whole_maps() -> None:
    values = {"a": {"b": 1, "c": "${a.b}"}, "d": "${a}", "e": "at ${a.b}/${a.c}", "f": ["${a.b}"]}
    resolved = resolve_references(Config(values)).values
    assert resolved == {"a": {"b": 1, "c": 1}, "d": {"b": 1, "c": 1}, "e": "at 1/1", "f": [1]}


@pytest.mark.parametrize(
    "values",
    [
        {"a": "${a}"},
        {"a": "${b}", "b": "${a}"},
        {"a": {"b": "${a}"}},
        {"a": {"b": "${c}"}, "c": {"d": "${a}"}},
        {"a": ["x ${b}"], "b": {"c": "${a}"}},
    ],
)
def test_cycles_are_named(values: Any) -> None:
    with pytest.raises(BadInput, match=r"a cycle of references: .*\n.*write one of them out"):
        resolve_references(Config(values))


@pytest.mark.parametrize(
    "reference", ["${guidence.x}", "${guidance.y}", "${guidance.x.deeper}", "${}", "${ }", "${l.0}"]
)
def test_a_reference_to_nothing_is_an_error_with_its_line(tmp_path: Path, reference: str) -> None:
    config = load(tmp_path, f'guidance: {{x: 1}}\nl: [1]\nseed: "{reference}"\n')
    with pytest.raises(BadInput, match=r"r\.yaml:3: seed: \$\{.*\} names nothing"):
        resolve_references(config)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1, 2\nb: 3\n", ":2"),
        ("a: 1\nb:\tc\n", ":2"),
        ("a: 1\n b: 2\n", ":2"),
        ("a: 1\na: 2\n", ":2"),
        ("a: *b\n", ":1"),
        ("a: 1\n---\nb: 2\n", ":2"),
        ("[" * 2000, ""),
        ("\n".join(" " * i + "a:" for i in range(100)), ""),
        ("a: " + "[" * 100 + "]" * 100, ""),
        ("a: " + "9" * 5000, ""),
        ("a: !!int x\n", ""),
        ("a: '\x00'", ""),
        ("", ""),
        ("# only a comment\n", ""),
        ("- a\n- b\n", ""),
        ("just words", ""),
    ],
)
def test_what_is_no_recipe_has_one_message(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(tmp_path, text)
    assert caught.value.place == f"{tmp_path / 'r.yaml'}{place}"
    assert caught.value.remedy
    assert "\n" not in caught.value.cause


def test_files_that_are_no_text(tmp_path: Path) -> None:
    binary = tmp_path / "r.yaml"
    binary.write_bytes(bytes(range(256)))
    for path, cause in ((binary, "no UTF-8"), (tmp_path, "cannot be read"), (tmp_path / "none.yaml", "cannot be read")):
        with pytest.raises(BadInput, match=cause):
            load_yaml(path)


def test_values_are_plain_whatever_their_spelling(tmp_path: Path) -> None:
    text = "{1: 0x10, 1.5: 1_000, null: 1e3, on: &t true, again: *t, date: 2020-01-01, no: no, text: 'a', s: 'é'}"
    values = load(tmp_path, text).values
    assert {type(key) for key in values} == {str}
    assert list(values.values()) == [16, 1000, 1000.0, True, True, "2020-01-01", "no", "a", "é"]
    assert {type(value) for value in values.values()} == {int, float, bool, str}
