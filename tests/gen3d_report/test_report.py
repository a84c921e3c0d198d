"""The page that a run ends with: whole runs of toy parts, read back as HTML."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from gen3d import Gen3dError
from gen3d.errors import BadInput, Unavailable
from gen3d_report.cli.report import report as command
from gen3d_report.inline import Inlined
from gen3d_report.page import page
from gen3d_report.record import Record
from gen3d_report.report import report
from reported import PROMPT, Html, reported


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = reported(tmp_path_factory.mktemp("finished"), "steps=60")
    run.start()
    assert run.plugins.muted == set()
    return run.directory


@pytest.fixture(scope="module")
def html(finished):
    return Html((finished / "report.html").read_text(encoding="utf-8"))


def test_a_run_ends_with_a_page_that_shows_all_of_it(html):
    sections = {"stage", "turntable", "views", "moments", "seen", "terms", "janus", "checklist", "times"}
    assert sections | {"provenance", "recipe", "download"} <= html.ids
    assert not html.ids & {"error", "warnings"}
    text = " ".join(html.texts)
    for told in ("main, 60 steps", "paint", "triangles", "12", "Janus score", "draw_calls", "representation"):
        assert told in text
    captions = re.findall(r"main, (\d+) steps?", text)
    assert {"25", "50", "60"} <= set(captions)


def test_the_page_holds_the_asset_itself(finished, html):
    held = next(text for text in html.texts if text.startswith("Z2xURg"))  # "glTF"
    assert base64.b64decode(held) == (finished / "asset" / "asset.glb").read_bytes()


def test_nothing_is_loaded_from_anywhere(html):
    places = [attributes[key] for _, attributes in html.tags for key in ("src", "href") if attributes.get(key)]
    assert places
    assert {place.partition(":")[0] for place in places} == {"data"}
    assert not html.attributes("iframe")
    assert next(meta["content"] for meta in html.attributes("meta") if meta.get("http-equiv")).startswith(
        "default-src 'none'"
    )


def test_only_the_scripts_of_the_plugin_may_run(finished):
    text = (finished / "report.html").read_text(encoding="utf-8")
    allowed = re.findall(r"'sha256-([^']+)'", text.partition("</head>")[0].replace("&#39;", "'"))
    scripts = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    assert [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts] == allowed
    assert len(scripts) == 2


def test_what_people_write_stays_text(html):
    assert [attributes.get("type") for attributes in html.attributes("script")] == ["text/plain", "module", "module"]
    assert not [image for image in html.attributes("img") if image.get("src") == "x"]
    assert PROMPT in html.texts
    assert any(f"inputs: {{prompt: {json.dumps(PROMPT)}}}" in text for text in html.texts)  # the recipe as given


def test_figures_of_the_end_are_kept_beside_the_page(finished):
    about = json.loads((finished / "run.json").read_bytes())
    assert about["memory"]["process"] > 1e6
    assert about["janus"]["score"] < 0.5
    assert len(about["janus"]["likeness"]) == 12
    told = {event["event"]: event for event in Record.read(finished).events}
    assert {key: told["janus"][key] for key in about["janus"]} == about["janus"]
    assert told["report"]["path"] == "report.html"


def test_what_the_guidances_saw_is_kept(finished):
    pictures = sorted((finished / "seen").iterdir())
    assert [path.name for path in pictures] == ["main_000025.png", "main_000050.png", "main_000060.png"]
    with Image.open(pictures[-1]) as picture:
        assert picture.size == (2 * 128 + 4, 128)  # both views of the step
        assert picture.getpixel((64, 64)) != picture.getpixel((2, 2))  # the object, and what is behind it


def test_two_faces_are_told_with_a_hint(tmp_path):
    run = reported(tmp_path, "representation.faces=2")
    run.start()
    assert len(run.warnings) == 1
    assert run.warnings[0].startswith("the view from 180° repeats the front (Janus score 1.00)")
    html = Html((run.directory / "report.html").read_text(encoding="utf-8"))
    assert "warnings" in html.ids
    assert run.warnings[0] in html.texts


@pytest.mark.parametrize(("kind", "status"), [("interrupt", "interrupted"), ("loss", "failed")])
def test_a_run_that_is_stopped_or_fails_has_a_page_of_what_there_is(tmp_path, kind, status):
    run = reported(tmp_path, f"guidance.bad={{type: trouble, kind: {kind}, first: 26}}", "steps=60")
    with pytest.raises(KeyboardInterrupt if kind == "interrupt" else Gen3dError):
        run.start()
    assert run.plugins.muted == set()
    html = Html((run.directory / "report.html").read_text(encoding="utf-8"))
    assert {"error", "moments", "seen", "terms", "times", "recipe"} <= html.ids
    assert not html.ids & {"glb", "janus", "turntable", "download"}
    assert not html.attributes("script")
    assert any("nothing was exported" in text for text in html.texts)
    assert {attributes.get("class") for attributes in html.attributes("span")} == {f"state {status}"}


def test_a_page_is_made_again_from_the_files(finished):
    path = finished / "report.html"
    before = path.read_bytes()
    path.unlink()
    done = CliRunner().invoke(command, [str(finished)])
    assert done.output == f"{path}\n"
    assert path.read_bytes() == before


def test_what_has_no_room_is_left_out_and_said(finished):
    record = Record.read(finished)
    inlined = Inlined(limit=30_000)
    html = Html(page(record, inlined))
    assert inlined.used <= 30_000
    assert inlined.left_out
    assert set(inlined.left_out) <= set(html.texts)
    assert "warnings" in html.ids


def test_a_picture_that_cannot_be_read_is_left_out_and_said(finished, tmp_path):
    path = tmp_path / "contact_sheet.png"
    path.write_bytes((finished / "contact_sheet.png").read_bytes()[:200])
    inlined = Inlined()
    assert inlined.picture(path) is None
    assert "contact_sheet.png cannot be read" in inlined.left_out[0]
    assert inlined.picture(tmp_path / "none.png") is None
    assert len(inlined.left_out) == 1


def test_what_is_no_run_or_cannot_be_written_is_refused(finished, tmp_path):
    with pytest.raises(BadInput, match="is no run directory"):
        report(tmp_path)
    (tmp_path / "run.json").write_bytes((finished / "run.json").read_bytes())
    (tmp_path / "report.html").mkdir()
    with pytest.raises(Unavailable, match=r"report\.html: cannot be written"):
        report(tmp_path)


def test_a_machine_s_own_places_are_not_passed_on(finished):
    record = Record.read(finished)
    record.about["sha256"][str(Path("/home/anna/pictures/cat.png"))] = "12ab"
    text = page(record)
    assert "cat.png" in text
    assert "/home/anna" not in text
