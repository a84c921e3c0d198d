"""What is read of a run while somebody else writes it."""

import json

import pytest

from gen3d_web.watching import Seen, look


@pytest.fixture
def run(tmp_path):
    run = tmp_path / "runs" / "a"
    (run / "preview").mkdir(parents=True)
    (run / "asset").mkdir()
    return run


def write(run, *events, record=None):
    (run / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (run / "run.json").write_text(json.dumps(record or {}))


def step(index, **more):
    return {
        "event": "step",
        "time": 2.5,
        "stage": "shape",
        "step": index,
        "steps": 9,
        "terms": {"a": 1.5, "b": None},
        **more,
    }


def test_nothing_is_there_yet(tmp_path):
    assert look(tmp_path / "none") == Seen()


def test_the_latest_step_counts_and_half_a_line_does_not(run):
    write(run, step(3), step(4))
    with (run / "events.jsonl").open("a") as file:
        file.write('{"event": "step", "time": 9, "sta')
    seen = look(run)
    assert (seen.stage, seen.step, seen.steps, seen.seconds, seen.terms) == ("shape", 5, 9, 2.5, {"a": 1.5})


def test_a_long_file_is_read_from_its_end(run):
    write(run, *(step(index) for index in range(5000)))
    assert look(run).step == 5000


def test_what_is_done_after_the_steps(run):
    write(run, step(8), {"event": "stage_finished", "time": 3})
    assert look(run).activity == "exporting"
    write(run, step(8), {"event": "drawing", "what": "the result", "time": 3})
    assert look(run).activity == "drawing the result"


def test_the_asset_is_what_an_ended_run_says_and_only_inside_of_it(run):
    (run / "asset" / "asset.glb").touch()
    (run.parent / "other.glb").touch()
    (run / "asset" / "link.glb").symlink_to(run.parent / "other.glb")
    for status, name, found in [
        ("done", "asset/asset.glb", True),
        ("running", "asset/asset.glb", False),
        ("done", "asset/missing.glb", False),
        ("done", "../other.glb", False),
        ("done", "asset/link.glb", False),
        ("done", str(run.parent / "other.glb"), False),
    ]:
        write(run, record={"status": status, "outputs": [name]})
        assert (look(run).asset is not None) is found, name


def test_a_run_that_lies_elsewhere_shows_nothing(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.glb").touch()
    link = run.parent / "b"
    link.symlink_to(tmp_path / "elsewhere")
    write(link, record={"status": "done", "outputs": ["secret.glb"]})
    assert look(link).asset is None
