"""One stream of events, and who shows it: a bar, lines, JSON, and others by name."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import gen3d_monitor
from core_toys import core_plugins, toy_run
from gen3d import BadInput, hookimpl
from gen3d.events import Listener
from gen3d.resume import resume
from gen3d.run import Run
from gen3d_monitor.progress import Bar, Lines
from gen3d_monitor.screen import LOGS, Screen
from stops import Stopper


def watched(folder: Path, *overrides: str, logs: tuple[str, ...] = ()) -> Run:
    """A run of toy parts that the monitor shows under these names."""
    plugins = core_plugins()
    plugins.load("monitor", "0", lambda: gen3d_monitor)
    run = toy_run(folder, *overrides, plugins=plugins)
    run.logs = logs
    return run


def written(folder: Path) -> list[dict[str, Any]]:
    """What is in events.jsonl."""
    return [json.loads(text) for text in (folder / "out" / "events.jsonl").read_text().splitlines()]


def test_json_prints_the_lines_of_the_file_and_nothing_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    watched(tmp_path, "guidance.bad={type: trouble, kind: loss, first: 1, last: 1}", logs=("json",)).start()
    shown = capfd.readouterr().out
    assert shown == (tmp_path / "out" / "events.jsonl").read_text()
    kinds = [event["event"] for event in written(tmp_path)]
    assert kinds == [
        *("run_started", "stage_started", "step", "warning", "step", "step", "preview", "stage_finished"),
        *("drawing", "picture", "picture", "run_finished"),
    ]
    last = written(tmp_path)[-1]
    assert (last["status"], last["error"], last["outputs"]) == ("done", None, [])
    assert "NaN" not in shown


def test_a_resumed_run_says_so_to_who_listens(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = watched(tmp_path, "steps=9", "checkpoint_every=2", logs=("json",))
    run.plugins.manager.register(Stopper("main", 4), name="stopper")
    with pytest.raises(KeyboardInterrupt):
        run.start()
    assert written(tmp_path)[-1]["status"] == "interrupted"
    capfd.readouterr()
    resume(tmp_path / "out", watched(tmp_path).plugins, logs=("json",))
    shown = [json.loads(text) for text in capfd.readouterr().out.splitlines()]
    assert (shown[0]["event"], shown[0]["stage"], shown[0]["step"]) == ("resumed", "main", 4)
    assert shown == written(tmp_path)[-len(shown) :]
    assert [event["step"] for event in written(tmp_path) if event["event"] == "step"] == list(range(9))


def test_a_bar_only_on_a_terminal_and_not_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kind() -> type:
        return type(LOGS["auto"](watched(tmp_path)).progress)  # type: ignore[attr-defined]

    monkeypatch.delenv("CI", raising=False)
    assert kind() is Lines
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("TERM", "xterm")
    assert kind() is Bar
    monkeypatch.setenv("CI", "true")
    assert kind() is Lines


def test_an_unknown_log_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--log: unknown log 'jsn'\n  did you mean 'json'\? .*plain"):
        watched(tmp_path, logs=("plain", "jsn")).start()
    assert not (tmp_path / "out").exists()


def test_several_listen_and_one_that_fails_is_told_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []

    class Others:
        @hookimpl
        def event_logs(self) -> Mapping[str, Callable[[Run], Listener]]:
            return {"all": lambda _: lambda event: heard.append(event["event"]), "none": lambda _: self.fail}

        def fail(self, event: Any) -> None:
            heard.append("failed")
            raise RuntimeError("no more paper")

    run = watched(tmp_path, logs=("none", "plain", "all"))
    run.plugins.manager.register(Others(), name="others")
    run.start()
    assert heard.count("failed") == 1
    assert heard.count("step") == 3
    assert heard[-1] == "run_finished"
    assert "warning: log 'none' failed and is told nothing more: RuntimeError: no more paper" in capsys.readouterr().out


def test_a_screen_names_the_files_of_a_run() -> None:
    out = io.StringIO()
    console = Console(file=out, width=30)
    screen = Screen(Lines(console), console)
    screen({"event": "run_started", "directory": "runs/a-long-name-of-a-run-[bold]"})
    screen({"event": "picture", "name": "turntable", "path": "turntable.mp4"})
    screen({"event": "something that only others know"})
    screen({"event": "run_finished", "status": "done", "outputs": ["asset/a.glb", "asset/b.glb"]})
    shown = out.getvalue().splitlines()
    assert [text.strip() for text in shown[-3:]] == [
        "GLB  runs/a-long-name-of-a-run-[bold]/asset/a.glb",
        "turntable  runs/a-long-name-of-a-run-[bold]/turntable.mp4",
        "run  runs/a-long-name-of-a-run-[bold]",
    ]
