"""Runs that are watched, and stored ones that are looked at: the real server, and a real client over its websocket."""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from websockets.exceptions import ConnectionClosed

import gen3d_viewer
import stops
from gen3d import BadInput, Step, Unavailable, hookimpl
from gen3d.interrupts import Stopped
from gen3d.resume import resume
from gen3d.run import Run
from gen3d.stored import Stored
from gen3d_viewer.page import HOST, Page, free_port
from gen3d_viewer.picture import draw
from gen3d_viewer.view import view
from gen3d_viewer.watching import Watching, watching
from stops import differences, left, stoppable
from viewer_visitor import PATIENCE, Visitor, until

PORT = 17007


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power is cut here."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the recipe leaves when nobody watches."""
    folder = tmp_path_factory.mktemp("unbroken")
    stoppable(folder).start()
    return left(folder / "out")


class Door:
    """An observer that lets the run go on from its first step when somebody is there."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.opened = threading.Event()

    @hookimpl
    def step_finished(self, run: Run, step: Step) -> None:
        """Wait."""
        self.run = run
        assert self.opened.wait(PATIENCE)


class Watched:
    """A run in a thread of its own, with its page open and somebody there; it stands after its first step."""

    def __init__(self, folder: Path) -> None:
        self.door, self.error = Door(), None
        self.out = folder / "out"
        self.run = stoppable(folder, gen3d_viewer, self.door)
        self.run.port = PORT
        self.thread = threading.Thread(target=self._start)
        self.thread.start()
        until(lambda: self.door.run or self.error)
        shown = watching(self.run)
        assert shown is not None
        self.shown: Watching = shown
        self.visitor = Visitor(shown.page.port)
        self.visitor.look(0.0)
        until(shown.page.viewpoints)

    def ask(self, label: str) -> None:
        """Press a button, and wait until the server has heard of it."""
        self.visitor.press(label)
        until(lambda: not self.shown.page.wishes.empty())

    def pause(self) -> None:
        """Let the run come to its second step, and stay there."""
        self.ask("Pause")
        self.door.opened.set()
        until(lambda: self.events()[-1]["event"] == "paused")
        until(lambda: self.visitor.pictures, "no picture came")

    def end(self) -> None:
        """Wait until the run is over."""
        self.door.opened.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def events(self) -> list[dict[str, Any]]:
        """Those of the run so far."""
        return [json.loads(line) for line in (self.out / "events.jsonl").read_text().splitlines()]

    def _start(self) -> None:
        try:
            self.run.start()
        except BaseException as error:  # noqa: BLE001 (a test looks at it)
            self.error = error


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A run that is watched."""
    result = Watched(tmp_path)
    yield result
    result.run.stop()
    result.end()
    assert not result.run.plugins.muted
    assert watching(result.run) is None


def test_the_picture_comes_and_follows_camera_and_choice(watched: Watched) -> None:
    watched.pause()
    visitor = watched.visitor
    until(lambda: visitor.pictures[-1].shape == (64, 64, 3))
    visitor.look(0.0, size=96)
    until(lambda: visitor.pictures[-1].shape == (96, 96, 3))
    assert visitor.depths[-1].shape == (96, 96, 4)
    visitor.set("show", "opacity")
    until(lambda: visitor.pictures[-1][0, 0].max() < 30, "no opacity came")  # black where there is nothing
    visitor.set("show", "nonsense")  # a client may send anything
    until(lambda: visitor.pictures[-1][0, 0].min() > 225, "no colours came")
    assert (visitor.text("stage"), visitor.text("step")) == ("shape", "2 of 11")
    assert visitor.text("terms").startswith("paint 0.")
    assert set(visitor.frusta) == {"/cameras/0", "/cameras/1"}


def test_a_paused_run_stands_still_and_then_ends_the_same(watched: Watched, unbroken: dict[str, Any]) -> None:
    watched.pause()
    before = watched.events()
    assert before[-1]["event"] == "paused"
    seconds = watched.run.files.seconds
    for azimuth in (1.0, 2.0, 3.0):
        watched.visitor.look(azimuth)
        watched.visitor.next_picture()
    assert watched.events() == before
    watched.visitor.press("Go on")
    watched.end()
    assert watched.error is None
    assert differences(left(watched.out), unbroken) == []
    assert watched.run.files.seconds >= seconds


def test_killed_while_it_is_paused_it_has_lost_nothing(
    watched: Watched, tmp_path: Path, unbroken: dict[str, Any]
) -> None:
    watched.pause()
    assert [path.name for path in (watched.out / "checkpoints").iterdir()] == ["shape-00000002.safetensors"]
    shutil.copytree(watched.out, tmp_path / "killed")
    resume(tmp_path / "killed", stops.plugins())
    assert differences(left(tmp_path / "killed"), unbroken) == []


def test_save_and_export_make_files_and_change_nothing(watched: Watched, unbroken: dict[str, Any]) -> None:
    watched.pause()
    saved, asset = watched.out / "checkpoints" / "shape-00000002.safetensors", watched.out / "asset" / "asset.json"
    saved.unlink()
    watched.visitor.press("Save a checkpoint now")
    until(saved.exists)
    watched.visitor.press("Export now")
    until(lambda: any(note.startswith("exported: ") for note in watched.visitor.notes))
    first = asset.read_bytes()
    watched.visitor.press("Go on")
    watched.end()
    assert asset.read_bytes() != first
    assert differences(left(watched.out), unbroken) == []
    assert "checkpoint after step 2 of shape" in watched.visitor.notes


@pytest.mark.parametrize("paused", [False, True])
def test_stop_is_like_ctrl_c(watched: Watched, unbroken: dict[str, Any], paused: bool) -> None:
    if paused:
        watched.pause()
        watched.visitor.press("Stop (it can be resumed)")
    else:
        watched.ask("Stop (it can be resumed)")
    watched.end()
    assert isinstance(watched.error, KeyboardInterrupt)
    assert isinstance(watched.error.__cause__, Stopped)
    assert (watched.out / "asset" / "asset.json").is_file()  # of what there was
    assert json.loads((watched.out / "run.json").read_text())["status"] == "interrupted"
    assert max(event["step"] for event in watched.events() if event["event"] == "step") == 1
    resume(watched.out, stops.plugins())
    assert differences(left(watched.out), unbroken) == []


@pytest.mark.parametrize("abruptly", [False, True])
def test_who_leaves_in_the_middle_does_no_harm(watched: Watched, unbroken: dict[str, Any], abruptly: bool) -> None:
    watched.pause()
    other = Visitor(watched.shown.page.port)
    other.look(2.0)
    until(lambda: other.pictures)
    watched.visitor.look(1.0)
    watched.visitor.leave(abruptly=abruptly)
    until(lambda: len(watched.shown.page.viewpoints()) == 1)
    other.look(0.5)
    other.next_picture()
    other.press("Go on")
    watched.end()
    assert watched.error is None
    assert differences(left(watched.out), unbroken) == []


def test_with_nobody_there_it_ends_the_same(tmp_path: Path, unbroken: dict[str, Any]) -> None:
    run = stoppable(tmp_path, gen3d_viewer)
    run.port = PORT
    run.start()
    assert differences(left(tmp_path / "out"), unbroken) == []
    assert run.warnings == []


def test_a_run_that_nobody_asked_to_watch_serves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "viser", None)
    run = stoppable(tmp_path, gen3d_viewer)
    run.start()
    assert not run.plugins.muted
    assert watching(run) is None


def test_without_viser_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "viser", None)
    run = stoppable(tmp_path, gen3d_viewer)
    run.port = PORT
    with pytest.raises(Unavailable, match=r"--watch: the live viewer needs viser: .*\n  pip install 'gen3d\[view\]'"):
        run.start()
    assert not (tmp_path / "out").exists()


def test_without_the_plugin_it_says_so(tmp_path: Path) -> None:
    run = stoppable(tmp_path)
    run.port = PORT
    with pytest.raises(Unavailable, match="--watch: no plugin can show a run"):
        run.start()


@pytest.fixture
def page() -> Iterator[Page]:
    """A page with a line and a button."""
    result = Page("thing", PORT, ("stage",), {"stop": "Stop"})
    yield result
    result.close()


def test_nothing_listens_on_other_interfaces(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    listening = [
        connection.laddr
        for connection in psutil.Process().net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == page.port
    ]
    assert [address.ip for address in listening] == [HOST] == ["127.0.0.1"]
    assert page._server.request_share_url() is None
    assert page.where.startswith(f"watch at http://127.0.0.1:{page.port}\n")
    assert f"ssh -L {page.port}:127.0.0.1:{page.port} " in page.where
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("origin", ["https://example.org", "null", "http://127.0.0.1.example.org:17007"])
def test_pages_of_other_sites_see_and_click_nothing(page: Page, origin: str) -> None:
    other = Visitor(page.port, origin=origin)
    with pytest.raises(ConnectionClosed):
        until(lambda: other.look(0.0))
    assert page.viewpoints() == {}
    assert page.wishes.empty()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_page_itself_may_click_from_wherever_it_is_forwarded_to(page: Page, host: str) -> None:
    visitor = Visitor(page.port, origin=f"http://{host}:9999")
    visitor.look(0.0)
    until(page.viewpoints)
    visitor.press("Stop")
    until(lambda: not page.wishes.empty())
    assert page.wishes.get() == "stop"
    visitor.leave()


def test_nonsense_of_a_camera_is_ignored_and_an_extreme_window_is_cut(page: Page) -> None:
    visitor = Visitor(page.port)
    visitor.look(float("nan"))
    visitor.look(0.0, size=10**6)
    (viewpoint,) = until(lambda: list(page.viewpoints().values()))
    assert viewpoint.camera(10).width == 10
    assert type(viewpoint)(viewpoint.c2w, 1.0, 10**9, 1).camera(10).width == 40
    visitor.leave()


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.create_server((HOST, 0)) as taken:
        number = taken.getsockname()[1]
        assert free_port(number) > number
    with (
        socket.create_server((HOST, 65535)),
        pytest.raises(Unavailable, match="--port: no port from 65535 to 65535 is"),
    ):
        free_port(65535)


@pytest.fixture
def finished(tmp_path: Path) -> Run:
    """A run that is done."""
    run = stoppable(tmp_path)
    run.start()
    return run


def test_a_stored_object_looks_as_it_did(finished: Run) -> None:
    stored = Stored.newest(finished.directory)
    stage, step = stored.open(registry=finished.plugins.registry)
    assert (stage.name, step.index) == ("last", 4)
    camera = stops.Cameras.orbit(0.4, 0.2, 1.5, 0.8, 24)
    now = draw(finished.stage, camera, step, "colors").pixels
    assert np.array_equal(draw(stage, camera, step, "colors").pixels, now)
    states = [of.representation.trained_state() for of in (stage, finished.stage)]
    assert differences(*states) == []


def test_view_of_no_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no run directory"):
        view(tmp_path, PORT)
