"""What is read of a run directory, whole or spoilt."""

import json

import pytest

from gen3d.errors import BadInput
from gen3d_report import words
from gen3d_report.page import page
from gen3d_report.record import Record

ABOUT = {"status": "done", "stages": {}, "versions": {}, "sha256": {}}


def written(folder, *events, **about):
    (folder / "run.json").write_text(json.dumps(ABOUT | about))
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    (folder / "events.jsonl").write_text("\n".join(lines))
    return Record.read(folder)


def step(stage, index, **terms):
    return {"event": "step", "stage": stage, "step": index, "terms": terms}


def test_terms_are_told_by_stage_and_the_later_of_two_steps_counts(tmp_path):
    events = [step("shape", 0, a=1.0), step("shape", 1, a=2.0), {"event": "resumed"}, step("shape", 1, a=3.0, b=None)]
    record = written(tmp_path, *events, step("color", 0, b=5.0))
    assert record.curves == {"shape": {"a": {0: 1.0, 1: 3.0}, "b": {1: None}}, "color": {"b": {0: 5.0}}}
    assert record.steps == {"shape": 2, "color": 1}
    assert record.last_terms == {"b": 5.0}


def test_the_last_terms_are_means_over_twenty_steps(tmp_path):
    record = written(tmp_path, *(step("main", index, a=float(index)) for index in range(50)))
    assert record.last_terms == {"a": 39.5}


def test_what_is_damaged_is_left_out(tmp_path):
    record = written(tmp_path, step("main", 0, a=1.0), "[1]", "{", '{"event": "step", "st')
    assert record.curves == {"main": {"a": {0: 1.0}}}
    assert (record.resolved, record.asset, record.credits, record.glb) == ({}, {}, {}, None)
    assert record.text("recipe.yaml") == ""
    (tmp_path / "resolved.yaml").write_text("a: [")
    (tmp_path / "asset").mkdir()
    (tmp_path / "asset" / "asset.json").write_text("[1")
    again = Record.read(tmp_path)
    assert (again.resolved, again.asset) == ({}, {})


def test_pictures_are_in_the_order_of_stages_and_steps(tmp_path):
    (tmp_path / "preview").mkdir()
    for name in ("a_b_000200", "a_b_000030", "z_000010", "latest", "z_x"):
        (tmp_path / "preview" / f"{name}.png").touch()
    record = written(tmp_path, step("z", 0, a=1.0), step("a_b", 0, a=1.0), step("unseen", 0, a=1.0))
    found = record.pictures("preview")
    assert list(found) == ["z", "a_b"]
    assert [*found["a_b"]] == [30, 200]
    assert record.pictures("nowhere") == {}


def test_models_are_told_with_what_their_own_weights_were(tmp_path):
    (tmp_path / "asset").mkdir()
    models = [{"kind": "zero123", "weights": "mini", "licence": "CC0"}, {"kind": "sd", "weights": "mini"}]
    (tmp_path / "asset" / "asset.json").write_text(json.dumps({"provenance": {"models": models}}))
    weights = {
        "sd: mini": {"source": "/opt/w/sd", "sha256": {"a": "1"}},
        "zero123: mini": {"source": "x/y", "revision": "r"},
    }
    zero123, sd = words.models(written(tmp_path, weights=weights))
    assert (zero123["source"], zero123["revision"], zero123["licence"], zero123["files"]) == ("x/y", "r", "CC0", {})
    assert (sd["source"], sd["files"]) == ("sd", {"a": "1"})
    assert sd["licence"].startswith("not known")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1:00 min"), (3725, "1:02:05 h"), (None, None)]
)
def test_durations_are_read_at_a_glance(seconds, text):
    assert words.duration(seconds) == text


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(BadInput, match="is no run directory"):
        Record.read(tmp_path)
    (tmp_path / "run.json").write_text('["done"]')
    with pytest.raises(BadInput, match=r"run\.json: does not tell of a run"):
        Record.read(tmp_path)


def test_runs_of_earlier_versions_are_read(tmp_path):
    (tmp_path / "run.json").write_text('{"status": "done", "stages": 3, "warnings": null}')
    record = Record.read(tmp_path)
    assert (record.about["stages"], record.about["warnings"], record.about["janus"]) == ({}, [], {})
    assert "<h1>" in page(record)
