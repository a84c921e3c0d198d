"""A whole run that is watched: what is on the screen, and what is in the directory."""

from pathlib import Path

import pytest
from PIL import Image

import gen3d_monitor
from core_toys import core_plugins, toy_run
from gen3d import Degenerate, Gen3dError
from gen3d.exporter import Exporter
from gen3d.resume import resume
from gen3d.run import Run
from stops import Stopper

EXPORT = "export={type: words}"


def watched(folder: Path, *overrides: str) -> Run:
    """A run of toy parts with the monitor as its only observer."""
    plugins = core_plugins()
    plugins.load("monitor", "0", lambda: gen3d_monitor)
    assert [status.error for status in plugins.statuses] == [None, None]
    return toy_run(folder, *overrides, plugins=plugins)


def test_a_run_ends_with_pictures_and_says_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = watched(tmp_path, EXPORT)
    run.start()
    assert run.warnings == []
    assert not run.plugins.muted
    folder = tmp_path / "out"
    assert {path.name for path in (folder / "preview").iterdir()} == {"main_000003.png", "latest.png"}
    with Image.open(folder / "contact_sheet.png") as sheet:
        assert sheet.getextrema() != ((255, 255),) * 3
    assert (folder / "turntable.mp4").stat().st_size > 1000
    shown = capsys.readouterr().out
    for line in ("main  3/3", "paint 0.", "done in 0:"):
        assert line in shown
    for name in ("asset/asset.json", "turntable.mp4", "contact_sheet.png"):
        assert f"  {folder / name}\n" in shown
    assert f"run  {folder}\n" in shown


def test_warnings_are_shown_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = watched(tmp_path, "guidance.bad={type: trouble, kind: loss, first: 1, last: 1}")
    run.start()
    assert capsys.readouterr().out.count("warning: stage main, step 1: not finite: bad") == 1


def test_a_resumed_run_is_shown_from_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = (EXPORT, "steps=60", "checkpoint_every=20")
    run = watched(tmp_path, *overrides)
    run.plugins.manager.register(Stopper("main", 44), name="stopper")
    with pytest.raises(KeyboardInterrupt):
        run.start()
    spoilt = tmp_path / "out" / "checkpoints" / "main-00000040.safetensors"
    spoilt.write_bytes(spoilt.read_bytes()[:-9])
    capsys.readouterr()
    plugins = watched(tmp_path, *overrides).plugins
    again = resume(tmp_path / "out", plugins)
    shown = capsys.readouterr().out
    assert not plugins.muted
    assert again.warnings[0] in shown
    assert "main  21/60" in shown
    assert "main  60/60" in shown
    assert "main  18/60" not in shown
    names = {path.name for path in (tmp_path / "out" / "preview").iterdir()}
    assert names == {"main_000025.png", "main_000050.png", "main_000060.png", "latest.png"}
    assert (tmp_path / "out" / "turntable.mp4").is_file()


def test_an_interrupted_run_draws_nothing_and_says_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = watched(tmp_path, "guidance.stop={type: trouble, kind: interrupt, first: 1}")
    with pytest.raises(KeyboardInterrupt):
        run.start()
    shown = capsys.readouterr().out
    assert "stopped after 0:" in shown
    assert f"run  {tmp_path / 'out'}\n" in shown
    assert not list((tmp_path / "out").glob("*.png"))


def test_a_degenerate_object_is_shown_on_a_contact_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> list[Path]:
        raise Degenerate("nothing is there", remedy="more steps")

    run = watched(tmp_path, EXPORT)
    assert isinstance(run.exporter, Exporter)
    monkeypatch.setattr(run.exporter, "export", refuse)
    with pytest.raises(Gen3dError):
        run.start()
    assert (tmp_path / "out" / "contact_sheet.png").is_file()
    assert not (tmp_path / "out" / "turntable.mp4").exists()


def test_a_missing_ffmpeg_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no-ffmpeg"))
    run = watched(tmp_path)
    run.start()
    assert not run.plugins.muted
    shown = capsys.readouterr().out
    assert "warning: no turntable" in shown
    assert "contact sheet" in shown
    assert "turntable  " not in shown
