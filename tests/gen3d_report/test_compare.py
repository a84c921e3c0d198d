"""Two runs side by side."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from gen3d.errors import BadInput
from gen3d_report.cli.compare import compare as command
from gen3d_report.compare import compare
from reported import Html, reported


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    made = []
    for name, overrides in {"short": [], "long": ["steps=5", "optimizer.lr=0.2", "seed=3"]}.items():
        (folder / name).mkdir()
        run = reported(folder / name, *overrides)
        run.start()
        made.append(run.directory)
    return made


def test_only_what_differs_of_the_recipes_is_told(runs):
    found = compare(*runs)
    assert found.recipe == {
        "steps": (3, 5),
        "optimizer.lr": (0.1, 0.2),
        "seed": (None, 3),
    }
    assert compare(runs[0], runs[0]).recipe == {}


def test_figures_are_those_of_the_runs(runs):
    found = compare(*runs).as_json()
    first, second = found["runs"]
    assert (first["steps"], second["steps"]) == (3, 5)
    assert first["status"] == "done"
    assert first["triangles"] == 12
    assert first["file_bytes"] == (runs[0] / "asset" / "asset.glb").stat().st_size
    assert first["janus"] == json.loads((runs[0] / "run.json").read_bytes())["janus"]["score"]
    last = [
        event["terms"]["paint"]
        for event in map(json.loads, (runs[0] / "events.jsonl").read_text().splitlines())
        if "terms" in event
    ]
    assert first["terms"]["paint"] == pytest.approx(sum(last) / 3)
    assert found["recipe"]["seed"] == [None, 3]


def test_the_command_prints_a_table_or_json(runs):
    names = [str(path) for path in runs]
    shown = CliRunner().invoke(command, names, env={"COLUMNS": "300"}).output
    for told in (*names, "term paint", "triangles", "janus", "optimizer.lr", "memory"):
        assert told in shown
    assert json.loads(CliRunner().invoke(command, [*names, "--json"]).output) == compare(*runs).as_json()


def test_both_are_shown_on_a_page(runs, tmp_path):
    compare(*runs, tmp_path / "both.html")
    html = Html((tmp_path / "both.html").read_text(encoding="utf-8"))
    assert len(html.attributes("img")) == 2
    assert {str(path) for path in runs} <= set(html.texts)
    assert "optimizer.lr" in html.texts
    assert not html.attributes("script")


def test_contact_sheets_are_put_into_one_picture(runs, tmp_path):
    compare(*runs, tmp_path / "both.png")
    with Image.open(runs[0] / "contact_sheet.png") as one, Image.open(tmp_path / "both.png") as both:
        assert both.width == one.width
        assert both.crop((0, 28, one.width, 28 + one.height)).tobytes() == one.convert("RGB").tobytes()


def test_what_cannot_be_shown_is_refused(runs, tmp_path):
    with pytest.raises(BadInput, match=r"both\.gif: is neither \.html nor \.png"):
        compare(*runs, tmp_path / "both.gif")
    with pytest.raises(BadInput, match="is no run directory"):
        compare(runs[0], tmp_path)
    for name in ("run.json", "events.jsonl"):
        (tmp_path / name).write_bytes((runs[0] / name).read_bytes())
    with pytest.raises(BadInput, match=r"contact_sheet\.png: is no picture"):
        compare(runs[0], tmp_path, tmp_path / "both.png")
    compare(runs[0], tmp_path, tmp_path / "both.html")
