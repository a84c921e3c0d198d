"""`gen3d resume`: what it says, and its exit codes."""

from pathlib import Path
from typing import Any

import pytest

import stops
from gen3d.plugins import installed
from stops import Stopper, stoppable


@pytest.fixture(autouse=True)
def stops_only(toys_only: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of runs that are stopped are the only plugin."""
    monkeypatch.setenv("GEN3D_PLUGINS", stops.__file__)
    monkeypatch.setattr("os.fsync", lambda _: None)
    installed.cache_clear()


def test_resume_goes_on_and_then_says_that_nothing_is_left(gen3d: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stoppable(tmp_path, Stopper("color", 3)).start()
    first = gen3d("resume", "out")
    assert (first.code, first.err) == (0, "")
    assert (tmp_path / "out" / "asset" / "asset.json").is_file()
    again = gen3d("resume", "out")
    assert (again.code, again.out) == (0, "out is finished: there is nothing left to do\n")


def test_resume_of_no_run(gen3d: Any, tmp_path: Path) -> None:
    answer = gen3d("resume", "nowhere")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "error: nowhere: is no run directory\n  give a directory that `gen3d run` has made\n"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_says_how_to_go_on(gen3d: Any, tmp_path: Path) -> None:
    stoppable(tmp_path)  # writes the recipe
    stop = "stages.shape.guidance.stop={type: trouble, kind: interrupt, first: 5, last: 5}"
    answer = gen3d("run", "stops.yaml", "output=out", stop)
    assert answer.code == 130
    assert answer.err == "\ninterrupted: to go on: gen3d resume out\n"  # the first line holds the terminal's ^C


def test_what_a_stopped_run_has_so_far_can_be_exported(gen3d: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stoppable(tmp_path, Stopper("shape", 5)).start()
    answer = gen3d("export", "out", "early")
    assert (answer.code, answer.out) == (0, "early/asset.json\n")
    assert gen3d("resume", "out").code == 0
    gen3d("export", "out", "late")
    final = (tmp_path / "out" / "asset" / "asset.json").read_text()
    assert (tmp_path / "late" / "asset.json").read_text() == final
    assert (tmp_path / "early" / "asset.json").read_text() != final
