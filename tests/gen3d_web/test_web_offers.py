"""What can be chosen, and what a wish becomes: checked by content, nothing taken from outside but pixels and words."""

from pathlib import Path

import pytest
from PIL import Image

from gen3d.config import parse_override
from gen3d.errors import BadInput
from gen3d.recipe import Recipe
from gen3d_web import offers as module
from gen3d_web.jobs import Jobs
from gen3d_web.offers import FULL, LONGEST_PROMPT, Wish, offers, order
from served import TINY

PROMPTS = (
    "a red mushroom",
    "yes",
    "42",
    "{a: 1}",
    "null",
    'she said "no": \\ #1',
    "--dry-run",
    "a=b.c",
    "ñandú 🦤",
    "- x",
)


@pytest.fixture(scope="module")
def shipped():
    return offers()


def picture(path, **options):
    image = Image.new("RGBA", (64, 64))
    image.paste((200, 30, 30, 255), (16, 16, 48, 48))
    image.save(path, **options)
    return path


def test_the_kind_of_input_decides_and_what_needs_another_run_is_not_offered(shipped):
    kinds = {name: offer.kind for name, offer in shipped.items()}
    assert kinds["zero123_sjc"] == "image"
    assert kinds["magic3d"] == "prompt"
    assert not kinds.keys() & {"magic3d_edit", "magic3d_style"}
    assert all(offer.choices[-1] == FULL and "mini" in offer.profiles for offer in shipped.values())
    assert shipped["zero123_sjc"].elevation_deg == 15
    assert shipped["zero123_sjc"].chosen("mini") == "mini"
    assert shipped["zero123_sjc"].chosen("nothing") == FULL


def test_a_recipe_of_ones_own(tmp_path):
    (tmp_path / "mine.yaml").write_text(TINY)
    assert offers([str(tmp_path / "mine.yaml")])["mine"].summary == "A small thing."
    (tmp_path / "mine.yaml").write_text(TINY.replace("inputs: {image: barrel.png,", "inputs: {"))
    with pytest.raises(BadInput, match=r"mine\.yaml: does not start from a picture or a prompt"):
        offers([str(tmp_path / "mine.yaml")])


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_arrives_as_it_was_typed(shipped, tmp_path, prompt):
    job = order(Jobs(tmp_path), Wish(shipped["sjc_text"], "mini", prompt=f" {prompt}\n"))
    assert [parse_override(text) for text in job.overrides] == [(("inputs", "prompt"), prompt)]
    assert Recipe.load(job.recipe, job.overrides, job.profile).get("inputs")["prompt"] == prompt


@pytest.mark.parametrize(
    ("prompt", "cause"),
    [
        (" \n", "is empty"),
        ("x" * (LONGEST_PROMPT + 1), "are the limit"),
        ("${seed}", "no sentence"),
        ("a\0b", "no sentence"),
    ],
)
def test_a_prompt_that_is_none(shipped, tmp_path, prompt, cause):
    with pytest.raises(BadInput, match=cause):
        order(Jobs(tmp_path), Wish(shipped["sjc_text"], "mini", prompt=prompt))
    assert Jobs(tmp_path).list() == []


def test_only_the_pixels_of_a_picture_are_kept(shipped, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    upload = picture(tmp_path / "my photo.png", exif=exif)
    jobs = Jobs(tmp_path / "runs")
    job = order(jobs, Wish(shipped["zero123_sjc"], "mini", "prop", picture=upload, elevation_deg=20), "8GB")
    values = dict(map(parse_override, job.overrides))
    kept = Path(values["inputs", "image"])
    assert kept.parent == jobs.folder
    assert b"where I live" not in kept.read_bytes()
    assert Image.open(kept).tobytes() == Image.open(upload).tobytes()
    assert (values["export", "preset"], values["inputs", "elevation_deg"]) == ("prop", 20)
    assert (job.title, job.profile, job.vram) == ("my photo", "mini", "8GB")
    Recipe.load(job.recipe, job.overrides, job.profile)


def test_a_picture_is_known_by_its_content(shipped, tmp_path, monkeypatch):
    def refused(path):
        with pytest.raises(BadInput) as told:
            order(Jobs(tmp_path), Wish(shipped["zero123_sjc"], "mini", picture=path))
        assert str(tmp_path) not in str(told.value)
        assert told.value.remedy
        return str(told.value)

    (tmp_path / "page.png").write_text("<svg onload=alert(1)>")
    assert "no picture of a kind known" in refused(tmp_path / "page.png")
    assert "drop a picture" in refused(None)
    monkeypatch.setattr(module, "LARGEST_FILE", 100)
    assert "is larger" in refused(picture(tmp_path / "large.png"))


@pytest.mark.parametrize("wrong", [{"profile": "other"}, {"preset": "other; x"}])
def test_a_choice_that_was_not_offered(shipped, tmp_path, wrong):
    wish = {"offer": shipped["sjc_text"], "profile": "mini", "prompt": "x"} | wrong
    with pytest.raises(BadInput, match="no such choice"):
        order(Jobs(tmp_path), Wish(**wish))
