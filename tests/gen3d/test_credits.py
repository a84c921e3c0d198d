"""What an object was made with."""

import json
from pathlib import Path

import pytest

from gen3d.credits import credits_of, licence
from gen3d.recipe import Recipe

RECIPE = """\
gen3d: 1
name: thing
seed: 4
inputs: {image: /home/somebody/secret/photo.png, prompt: a thing}
guidance:
  look: {type: distill, prior: {type: zero123, weights: mini}}
  again: {type: distill, prior: {type: zero123, weights: mini}}
stages:
  shape: {}
  color: {guidance: {words: {type: distill, prior: {type: stable_diffusion, weights: FOLDER}}}}
"""


def recipe(folder: Path, text: str = RECIPE) -> Recipe:
    path = folder / "resolved.yaml"
    path.write_text(text.replace("FOLDER", str(folder / "weights")))
    return Recipe.load(path)


def card(folder: Path, text: str) -> None:
    (folder / "weights").mkdir(exist_ok=True)
    (folder / "weights" / "README.md").write_text(text)


def test_models_are_named_once_with_their_licences(tmp_path: Path) -> None:
    card(tmp_path, "---\ntags: [a]\nlicense: openrail++\n---\n# Model\n")
    known = credits_of(recipe(tmp_path))
    cc0 = "CC0 1.0: https://creativecommons.org/publicdomain/zero/1.0/"
    assert known["models"] == [
        {"kind": "zero123", "weights": "mini", "licence": cc0},
        {"kind": "stable_diffusion", "weights": "weights", "licence": "openrail++"},
    ]
    assert (known["recipe"], known["seed"], known["prompt"]) == ("thing", 4, "a thing")
    assert known["made_with"].startswith("gen3d ")
    json.dumps(known)


def test_a_picture_is_named_without_its_place(tmp_path: Path) -> None:
    known = credits_of(recipe(tmp_path))
    assert known["image"] == "photo.png"
    assert "somebody" not in json.dumps(known)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ("---\ntitle: x\n---\nno word of it\n", None),
        ("# x\n\n## License\n\nMIT.\n\nmore\n", "MIT"),
        ("license: mit in the text is no front matter\n", None),
    ],
)
def test_model_cards_state_licences_in_two_ways(tmp_path: Path, text: str, expected: str | None) -> None:
    card(tmp_path, text)
    assert licence("stable_diffusion", str(tmp_path / "weights")) == expected


def test_what_is_not_on_this_machine_has_no_licence_that_is_known() -> None:
    assert licence("stable_diffusion", "nobody/nothing") is None


def test_a_run_that_goes_on_names_the_one_before(tmp_path: Path) -> None:
    recipe(tmp_path)
    after = tmp_path / "after.yaml"
    after.write_text(f"gen3d: 1\nname: second\ninputs: {{prompt: another, run: {tmp_path}}}\n")
    known = credits_of(Recipe.load(after))
    assert known["goes_on_from"]["recipe"] == "thing"
    assert known["goes_on_from"]["models"][0]["weights"] == "mini"
    after.write_text("gen3d: 1\nname: second\ninputs: {prompt: another, run: /nowhere}\n")
    assert "goes_on_from" not in credits_of(Recipe.load(after))
