"""Recipes: profiles, overrides, stages, and the message that each mistake gets."""

import re
from pathlib import Path

import pytest

from gen3d.errors import BadInput
from gen3d.recipe import Recipe, available, find

STAGED = """\
gen3d: 1
seed: 7
cameras: {views: 1}
guidance:
  novel: {type: distill, weight: 2}
stages:
  shape:
    steps: 100
    guidance:
      novel: {cfg_scale: 100}
      smooth: {type: depth_smoothness}
  color:
    from: shape
    steps: 10
    cameras: {views: 3}
profiles:
  mini:
    seed: 1
    stages: {shape: {steps: 5, guidance: {smooth: null}}, color: null}
"""


def load(folder: Path, text: str, *overrides: str, profile: str | None = None) -> Recipe:
    """A recipe of this text."""
    path = folder / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return Recipe.load(path, overrides, profile)


def test_stages_are_laid_over_the_top_level(tmp_path: Path) -> None:
    stages = load(tmp_path, STAGED).stages
    assert list(stages) == ["shape", "color"]
    assert stages["shape"].values["guidance"]["novel"] == {"type": "distill", "weight": 2, "cfg_scale": 100}
    assert stages["color"].values["guidance"] == {"novel": {"type": "distill", "weight": 2}}
    assert [stage.values["cameras"]["views"] for stage in stages.values()] == [1, 3]
    assert stages["color"].values["from"] == "shape"


def test_a_recipe_without_stages_is_one_stage(tmp_path: Path) -> None:
    stages = load(tmp_path, "steps: 3\nguidance: {a: {type: x}}\n").stages
    assert list(stages) == ["main"]
    assert stages["main"].values == {"steps": 3, "guidance": {"a": {"type": "x"}}}


def test_profile_over_recipe_and_command_line_over_profile(tmp_path: Path) -> None:
    plain, mini = load(tmp_path, STAGED), load(tmp_path, STAGED, profile="mini")
    assert (plain.get("seed"), mini.get("seed")) == (7, 1)
    assert list(mini.stages) == ["shape"]
    assert mini.stages["shape"].values["guidance"]["smooth"] is None
    assert load(tmp_path, STAGED, "seed=3", profile="mini").get("seed") == 3
    assert "profiles" not in mini.resolved()


def test_an_override_reaches_every_stage_that_does_not_set_the_key(tmp_path: Path) -> None:
    stages = load(tmp_path, STAGED, "guidance.novel.weight=5", "cameras.views=9").stages
    assert [stage.values["guidance"]["novel"]["weight"] for stage in stages.values()] == [5, 5]
    assert [stage.values["cameras"]["views"] for stage in stages.values()] == [9, 3]


def test_an_override_of_one_stage(tmp_path: Path) -> None:
    stages = load(tmp_path, STAGED, "stages.shape.guidance.novel=null", "stages.shape.cameras={size: 8}").stages
    assert stages["shape"].values["guidance"]["novel"] is None
    assert stages["shape"].values["cameras"] == {"views": 1, "size": 8}
    assert stages["color"].values["guidance"]["novel"] == {"type": "distill", "weight": 2}


@pytest.mark.parametrize("text", ["steps=3", "steps=100"])
def test_an_override_that_every_stage_hides_names_the_keys_that_work(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        BadInput, match=r"command line: steps: .*no effect(.|\n)*stages.shape.steps or stages.color.steps"
    ):
        load(tmp_path, STAGED, text)


def test_a_part_that_every_stage_sets_cannot_be_removed_above_them(tmp_path: Path) -> None:
    text = "stages: {one: {steps: 1, guidance: {a: {type: x}}}}\n"
    with pytest.raises(BadInput, match=r"stages\.one\.guidance\.a"):
        load(tmp_path, text, "guidance.a=null")
    assert load(tmp_path, text, "stages.one.guidance.a=null").stages["one"].values["guidance"] == {"a": None}


def test_a_map_on_the_command_line_has_an_effect_where_any_of_it_has(tmp_path: Path) -> None:
    stages = load(tmp_path, STAGED, "cameras={size: 16}").stages
    assert stages["color"].values["cameras"] == {"views": 3, "size": 16}
    text = "stages: {one: {steps: 1, cameras: {views: 3}}}\n"
    assert load(tmp_path, text, "cameras={size: 16}").stages["one"].values["cameras"] == {"views": 3, "size": 16}
    with pytest.raises(BadInput, match=r"stages\.one\.cameras"):
        load(tmp_path, text, "cameras={views: 16}")


def test_an_override_has_an_effect_through_what_copies_it(tmp_path: Path) -> None:
    text = "cameras: {size: 8}\nstages: {one: {steps: 1, cameras: {size: 9, fov_deg: [1, '${cameras.size}']}}}\n"
    assert load(tmp_path, text, "cameras.size=16").stages["one"].values["cameras"] == {"size": 9, "fov_deg": [1, 16]}
    with pytest.raises(BadInput, match=r"no effect(.|\n)*stages\.one\.cameras\.fov_deg"):
        load(tmp_path, text, "cameras.fov_deg=[1, 2]")


def test_a_profile_that_is_not_chosen_is_not_resolved(tmp_path: Path) -> None:
    text = 'steps: 1\nprofiles: {big: {seed: "${stages.one.seed}"}, small: {seed: 2}}\n'
    assert load(tmp_path, text, profile="small").get("seed") == 2
    with pytest.raises(BadInput, match="names nothing"):
        load(tmp_path, text, profile="big")


def test_references_see_the_profile_and_the_command_line(tmp_path: Path) -> None:
    text = 'steps: "${seed}"\nseed: 1\nprofiles: {p: {seed: 2}}\n'
    assert load(tmp_path, text, profile="p").get("steps") == 2
    assert load(tmp_path, text, "seed=3", profile="p").get("steps") == 3


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("seed: 1\nstep: 3\n", 2, r"unknown key 'step'\n.*did you mean 'steps'\?"),
        ("stages:\n  one:\n    guidence: {}\n", 3, r"unknown key 'guidence'\n.*did you mean 'guidance'\?"),
        ("stages:\n  one:\n    seed: 3\n", 3, "unknown key 'seed'"),
        ("from: one\n", 1, "unknown key 'from'"),
        ("steps: [1]\n", 1, r"\[1\] does not fit\n.*a whole number"),
        ("steps: 1.5\n", 1, "1.5 does not fit"),
        ("steps: true\n", 1, "True does not fit"),
        ("steps: 0\n", 1, r"0 does not fit\n.*from 1 to"),
        ("checkpoint_every: 0\n", 1, r"0 does not fit\n.*from 1 to"),
        ("stages: {one: {steps: -1}}\n", 1, r"stages.one.steps: -1 does not fit"),
        ("stages: 3\n", 1, r"3 does not fit\n.*a map"),
        ("stages: {one: 3}\n", 1, r"stages.one: 3 does not fit\n.*a stage is a map"),
        ("stages: [one]\n", 1, "a map"),
        ("guidance: x\n", 1, r"'x' does not fit\n.*a map"),
        ("stages: {one: {guidance: [x]}}\n", 1, r"stages.one.guidance: \['x'\] does not fit"),
        ("inputs: photo.png\n", 1, r"inputs: 'photo.png' does not fit"),
        ("cameras: 3\n", 1, "a map"),
        ("name: 3\n", 1, "text"),
        ("device: 0\n", 1, "text"),
        ("seed: x\n", 1, "a whole number"),
        ("gen3d: 2\nnews: 1\n", 1, r"format 2 is not known\n.*format 1"),
        ("gen3d: one\n", 1, "format 'one' is not known"),
        ("profiles: 3\n", 1, r"3 does not fit\n.*a map"),
        ("seed: 1\nprofiles:\n  mini: 3\n", 3, r"profiles.mini: 3 does not fit\n.*a profile is a map"),
        ("stages:\n  one: {steps: 1}\n  two: {from: on}\n", 3, r"no earlier stage 'on'\n.*did you mean 'one'\?"),
        ("stages:\n  two: {from: one}\n  one: {steps: 1}\n", 2, "no earlier stage 'one'"),
        ("stages: {one: {from: one}}\n", 1, "no earlier stage 'one'"),
        ('seed: 1\nname: "${name}"\n', 2, "a cycle of references: name"),
        ('name: "${sead}"\nseed: 1\n', 1, r"\$\{sead\} names nothing\n.*did you mean 'seed'\?"),
        ("? [a, b]\n: 1\n", 1, "unknown key"),
        ("null: 1\n", 1, "unknown key 'None'"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        load(tmp_path, text)
    assert re.fullmatch(rf"{tmp_path}/r\.yaml:{line}: .+", caught.value.place)


def test_a_mistake_in_a_profile_or_on_the_command_line_is_named_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"r.yaml:3: sead: unknown key"):
        load(tmp_path, "steps: 1\nprofiles:\n  a: {sead: 1}\n", profile="a")
    with pytest.raises(BadInput, match=r"^command line: sead: unknown key"):
        load(tmp_path, "steps: 1\n", "sead=1")
    with pytest.raises(BadInput, match=r"command line: profiles: unknown key"):
        load(tmp_path, STAGED, "profiles.mini.seed=3")
    with pytest.raises(BadInput, match=r"no profile 'mimi'\n.*did you mean 'mini'\?"):
        load(tmp_path, STAGED, profile="mimi")


def test_null_takes_a_stage_out(tmp_path: Path) -> None:
    assert list(load(tmp_path, STAGED, "stages.color=null").stages) == ["shape"]
    with pytest.raises(BadInput, match="no earlier stage 'shape'"):
        load(tmp_path, STAGED, "stages.shape=null")


def test_the_name_is_the_files_unless_given(tmp_path: Path) -> None:
    assert [load(tmp_path, text).name for text in ("steps: 1", "name: barrel", "name: null")] == ["r", "barrel", "r"]


def test_a_recipe_is_found_by_path_or_by_the_name_of_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own := tmp_path / "own.yaml").write_text("steps: 1")
    assert find(own) == own
    monkeypatch.chdir(tmp_path)
    assert find("zero123_sjc").is_file()
    assert find("recipes/zero123_sjc.yaml") == find("zero123_sjc")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zero123_scj", r"does not exist\n.*did you mean 'zero123_sjc'\?"),
        ("/", "is a folder, no recipe"),
        ("x" * 5000, "is no path"),
        ("a\0b", r"no path|does not exist"),
        ("", "folder"),
    ],
)
def test_what_is_no_recipe_file(name: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        find(name)


@pytest.mark.parametrize("path", available(), ids=lambda path: path.stem)
def test_shipped_recipes_say_what_they_are_and_how_to_run_them(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    header = [line for line in lines if line.startswith("#")]
    assert lines[0].startswith("# ")
    assert any(f"gen3d {'train' if path.parent.name == 'train' else 'run'} " in line for line in header)
