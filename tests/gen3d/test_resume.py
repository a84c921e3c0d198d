"""A run that is stopped and resumed ends as one that never was, bit for bit."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

import stops
from gen3d.checkpoint import load_checkpoint
from gen3d.errors import BadInput, Unavailable
from gen3d.resume import is_finished, resume
from stops import Stopper, differences, interruptible, left, plugins, stoppable

LENGTHS = {"shape": 11, "color": 9, "last": 5}


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power is cut here."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture(autouse=True)
def signals_interrupt() -> Iterator[None]:
    """Whatever shell this runs in."""
    with interruptible():
        yield


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the recipe leaves when nobody stops it."""
    folder = tmp_path_factory.mktemp("unbroken")
    stoppable(folder).start()
    return left(folder / "out")


def record(folder: Path) -> dict[str, Any]:
    """The run.json of a run in `folder`."""
    result: dict[str, Any] = json.loads((folder / "out" / "run.json").read_text())
    return result


def events(folder: Path) -> list[dict[str, Any]]:
    """The events of a run in `folder`."""
    return [json.loads(line) for line in (folder / "out" / "events.jsonl").read_text().splitlines()]


def stop(folder: Path, stage: str, index: int, how: str = "crash") -> None:
    """Run the recipe until it is stopped."""
    with pytest.raises(KeyboardInterrupt, match=f"to go on: gen3d resume {folder / 'out'}"):
        stoppable(folder, Stopper(stage, index, how)).start()
    assert record(folder)["status"] == "interrupted"


MOMENTS = [
    (stage, index, how)
    for stage in ("shape", "color", "last")
    for how in ("signal", "crash")
    for index in sorted({0, LENGTHS[stage] - 1, *random.Random(stage + how).sample(range(LENGTHS[stage]), 2)})
]


@pytest.mark.parametrize(("stage", "index", "how"), MOMENTS)
def test_stopped_anywhere_it_ends_the_same(
    tmp_path: Path, unbroken: dict[str, Any], stage: str, index: int, how: str
) -> None:
    stop(tmp_path, stage, index, how)
    resume(tmp_path / "out", plugins())
    assert differences(left(tmp_path / "out"), unbroken) == []
    assert record(tmp_path)["status"] == "done"
    assert list(record(tmp_path)["stages"]) == list(LENGTHS)


def test_stopped_again_and_again(tmp_path: Path, unbroken: dict[str, Any]) -> None:
    stop(tmp_path, "shape", 5)
    for stage, index, how in (
        ("shape", 9, "signal"),
        ("color", 1, "crash"),
        ("color", 8, "crash"),
        ("last", 2, "signal"),
    ):
        with pytest.raises(KeyboardInterrupt):
            resume(tmp_path / "out", plugins(Stopper(stage, index, how)))
    resume(tmp_path / "out", plugins())
    assert differences(left(tmp_path / "out"), unbroken) == []
    assert [entry["step"] for entry in record(tmp_path)["resumed"]] == [4, 10, 11, 8, 3]


@pytest.mark.parametrize("how", ["signal", "terminate"])
def test_a_signal_lets_the_step_be_finished_and_saves_it(
    tmp_path: Path, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    stop(tmp_path, "shape", 5, how)
    newest = max((tmp_path / "out" / "checkpoints").iterdir())
    assert newest.name == "shape-00000006.safetensors"
    assert [event["step"] for event in events(tmp_path) if event["event"] == "step"] == list(range(6))
    assert "stopping after this step" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_exports_what_there_is(tmp_path: Path) -> None:
    stop(tmp_path, "shape", 5, "signal")
    assert record(tmp_path)["outputs"] == ["asset/asset.json"]
    saved = load_checkpoint(tmp_path / "out" / "checkpoints" / "shape-00000006.safetensors")["parts"]["representation"]
    exported = json.loads((tmp_path / "out" / "asset" / "asset.json").read_text())
    assert exported == {name: tensor.tolist() for name, tensor in saved.items()}
    kinds = [event["event"] for event in events(tmp_path)]
    assert kinds[-2:] == ["exported", "run_finished"]


@pytest.mark.parametrize("how", ["terminate", "crash"])
def test_who_has_no_time_exports_nothing(tmp_path: Path, how: str) -> None:
    stop(tmp_path, "shape", 5, how)
    assert not (tmp_path / "out" / "asset").exists()


def test_half_an_object_that_cannot_be_exported_is_a_remark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stoppable(tmp_path, Stopper("shape", 5, "signal"))
    assert run.exporter is not None

    def refuse(*_: object) -> list[Path]:
        raise ValueError("no surface")

    monkeypatch.setattr(run.exporter, "export", refuse)
    with pytest.raises(KeyboardInterrupt, match="to go on: gen3d resume"):
        run.start()
    assert record(tmp_path)["warnings"] == ["what there is cannot be exported: no surface"]
    assert record(tmp_path)["status"] == "interrupted"


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    class Twice(Stopper):
        def step_finished(self, run, step, views) -> None:
            if step.index == 5:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
                raise AssertionError("not reached")

        step_finished.gen3d_impl = Stopper.step_finished.gen3d_impl  # type: ignore[attr-defined]

    with pytest.raises(KeyboardInterrupt):
        stoppable(tmp_path, Twice("shape", 5)).start()
    assert [path.name for path in (tmp_path / "out" / "checkpoints").iterdir()] == ["shape-00000004.safetensors"]
    assert record(tmp_path)["status"] == "interrupted"


def test_who_handles_signals_himself_keeps_them(tmp_path: Path) -> None:
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    stoppable(tmp_path, Stopper("shape", 5, "terminate")).start()
    assert asked == [signal.SIGTERM]
    assert record(tmp_path)["status"] == "done"


def test_events_are_those_of_one_run_and_time_adds_up(tmp_path: Path) -> None:
    stop(tmp_path, "color", 6)
    before = [event for event in events(tmp_path) if event["event"] == "step"]
    time.sleep(0.3)  # the time between the two is not the run's
    resume(tmp_path / "out", plugins())
    kinds = [event["event"] for event in events(tmp_path)]
    assert [kind for kind in kinds if kind != "step"] == [
        *("run_started", "stage_started", "stage_finished", "stage_started", "resumed", "stage_finished"),
        *("stage_started", "stage_finished", "exported", "run_finished"),
    ]
    resumed = next(event for event in events(tmp_path) if event["event"] == "resumed")
    assert (resumed["stage"], resumed["step"]) == ("color", 4)
    steps = [event for event in events(tmp_path) if event["event"] == "step"]
    assert steps[:15] == before[:15]  # also their times
    times = [event["time"] for event in events(tmp_path)]
    assert times == sorted(times)
    seconds = sum(stage["seconds"] for stage in record(tmp_path)["stages"].values())
    assert seconds <= record(tmp_path)["seconds"] + 0.03  # each is rounded to a hundredth
    assert record(tmp_path)["seconds"] < times[-1] + 0.3


def test_a_stop_before_any_checkpoint_begins_again(tmp_path: Path, unbroken: dict[str, Any]) -> None:
    stop(tmp_path, "shape", 2)
    resume(tmp_path / "out", plugins())
    assert differences(left(tmp_path / "out"), unbroken) == []


def test_a_stop_in_the_export_exports_again(
    tmp_path: Path, unbroken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[Path]:
        raise KeyboardInterrupt

    run = stoppable(tmp_path)
    assert run.exporter is not None
    monkeypatch.setattr(run.exporter, "export", refuse)
    with pytest.raises(KeyboardInterrupt):
        run.start()
    assert list(record(tmp_path)["stages"]) == list(LENGTHS)
    again = resume(tmp_path / "out", plugins())
    assert again.outputs == [tmp_path / "out" / "asset" / "asset.json"]
    assert again.stage.name == "last"  # bound, for those who draw it
    assert differences(left(tmp_path / "out"), unbroken) == []


def test_a_finished_run_is_left_alone(tmp_path: Path, unbroken: dict[str, Any]) -> None:
    stoppable(tmp_path).start()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    run = resume(tmp_path / "out", plugins())
    assert is_finished(tmp_path / "out")
    assert run.outputs == [tmp_path / "out" / "asset" / "asset.json"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def spoil(path: Path, how: str) -> None:
    """Damage a file."""
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[-3] ^= 1
    path.write_bytes(data[: len(data) // 2] if how == "cut" else data)
    if how == "foreign":
        path.write_bytes(path.with_name("foreign").read_bytes())


@pytest.mark.parametrize("how", ["flipped", "cut", "foreign"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path, unbroken: dict[str, Any], how: str) -> None:
    stop(tmp_path, "shape", 9)
    folder = tmp_path / "out" / "checkpoints"
    stoppable(tmp_path / "other", overrides=("seed=1", "stages.color=null", "stages.last=null")).start()
    (folder / "foreign").write_bytes((tmp_path / "other/out/checkpoints/shape-final.safetensors").read_bytes())
    spoil(folder / "shape-00000008.safetensors", how)
    (folder / "foreign").unlink()
    run = resume(tmp_path / "out", plugins())
    (told,) = [message for message in run.warnings if "checkpoints" in message]
    assert "shape-00000008.safetensors is " in told
    assert "going on from what was before it" in told
    assert record(tmp_path)["warnings"] == run.warnings
    assert [entry["step"] for entry in record(tmp_path)["resumed"]] == [4]
    (folder / "shape-00000008.safetensors.damaged").unlink()
    assert differences(left(tmp_path / "out"), unbroken) == []


def test_when_all_are_damaged_the_stage_begins_again(tmp_path: Path, unbroken: dict[str, Any]) -> None:
    stop(tmp_path, "color", 8)
    folder = tmp_path / "out" / "checkpoints"
    for path in folder.glob("color-*"):
        spoil(path, "flipped")
    run = resume(tmp_path / "out", plugins())
    assert len(run.warnings) == 2
    assert [entry["step"] for entry in record(tmp_path)["resumed"]] == [11]  # of the stage before
    for path in folder.glob("*.damaged"):
        path.unlink()
    assert differences(left(tmp_path / "out"), unbroken) == []


def test_a_damaged_object_of_a_stage_that_was_done_is_made_again(tmp_path: Path, unbroken: dict[str, Any]) -> None:
    stop(tmp_path, "color", 6)
    spoil(tmp_path / "out" / "checkpoints" / "shape-final.safetensors", "cut")
    resume(tmp_path / "out", plugins())
    assert [entry["step"] for entry in record(tmp_path)["resumed"]] == [0]
    (tmp_path / "out" / "checkpoints" / "shape-final.safetensors.damaged").unlink()
    assert differences(left(tmp_path / "out"), unbroken) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda out: (out / "run.json").unlink(), "out: is no run directory"),
        (lambda out: (out / "run.json").write_text("{"), "out: is no run directory"),
        (lambda out: (out / "run.json").write_text("[]"), "run.json: is no run.json of this version"),
        (lambda out: (out / "run.json").write_text("{}"), "run.json: is no run.json of this version"),
        (lambda out: (out / "resolved.yaml").unlink(), "resolved.yaml: does not exist"),
        (
            lambda out: (out / "resolved.yaml").write_text((out / "resolved.yaml").read_text() + "seed: 1\n"),
            "resolved.yaml: is not what it was",
        ),
        (lambda out: (out / "events.jsonl").write_text("x\n" * 4000), "events.jsonl: is damaged"),
    ],
)
def test_a_directory_that_is_none_or_was_edited(tmp_path: Path, damage: Any, message: str) -> None:
    stop(tmp_path, "shape", 9)
    damage(tmp_path / "out")
    with pytest.raises(BadInput, match=message):
        resume(tmp_path / "out", plugins())
    assert not (tmp_path / "out" / "asset").exists()


def test_without_its_events_a_run_goes_on(tmp_path: Path, unbroken: dict[str, Any]) -> None:
    stop(tmp_path, "shape", 9)
    (tmp_path / "out" / "events.jsonl").unlink()
    resume(tmp_path / "out", plugins())
    result = left(tmp_path / "out")
    assert result["steps"] == unbroken["steps"][8:]
    assert differences(result["states"], unbroken["states"]) == []


def test_a_recipe_that_no_longer_builds_says_what_is_missing(tmp_path: Path) -> None:
    import core_toys

    stop(tmp_path, "shape", 9)
    with pytest.raises(BadInput, match=r"resolved.yaml:\d+: .*: unknown \w+ '(wandering|momentum)'"):
        resume(tmp_path / "out", core_toys.core_plugins())


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    from gen3d.lock import locked

    stop(tmp_path, "shape", 9)
    before = (tmp_path / "out" / "events.jsonl").read_bytes()
    lock = locked(tmp_path / "out")
    with pytest.raises(BadInput, match="out: another process is writing to it\n  wait for it"):
        resume(tmp_path / "out", plugins())
    assert (tmp_path / "out" / "events.jsonl").read_bytes() == before
    lock.release()
    (tmp_path / "new" / "out").mkdir(parents=True)
    lock = locked(tmp_path / "new" / "out")
    with pytest.raises(BadInput, match="another process is writing to it"):
        stoppable(tmp_path / "new").start()
    lock.release()
    resume(tmp_path / "out", plugins())


def test_a_run_in_another_thread_has_no_signals_to_mind(tmp_path: Path, unbroken: dict[str, Any]) -> None:
    thread = threading.Thread(target=stoppable(tmp_path).start)
    thread.start()
    thread.join()
    assert differences(left(tmp_path / "out"), unbroken) == []


def test_the_picture_is_found_from_anywhere_and_must_be_the_same(
    tmp_path: Path, unbroken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def picture(color: str) -> None:
        image = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(image).rectangle((16, 24, 47, 39), fill=color)
        image.save(tmp_path / "p.png")

    picture("red")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        stoppable(tmp_path, Stopper("color", 5), overrides=("inputs.image=p.png",)).start()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    picture("blue")
    with pytest.raises(BadInput, match=rf"{tmp_path / 'p.png'}: is not what it was when the run began"):
        resume("../out", plugins())
    picture("red")
    resume("../out", plugins())
    assert differences(left(tmp_path / "out"), unbroken) == []


def test_other_versions_are_a_remark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop(tmp_path, "shape", 9)
    old = record(tmp_path)
    old["versions"]["torch"] = "1.0"
    (tmp_path / "out" / "run.json").write_text(json.dumps(old))
    run = resume(tmp_path / "out", plugins())
    assert len(run.warnings) == 1
    assert run.warnings[0].startswith("the run goes on with something else: torch 1.0 -> 2.")


def test_a_full_disk_is_a_message_and_nothing_is_lost(
    tmp_path: Path, unbroken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        if len(list((tmp_path / "out" / "checkpoints").glob("*08.safetensors"))) == 1:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(Unavailable, match=r"out: cannot be written: No space left on device\n.*gen3d resume"):
            stoppable(tmp_path).start()
    resume(tmp_path / "out", plugins())
    assert differences(left(tmp_path / "out"), unbroken) == []


@pytest.fixture
def kill_and_resume(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], int]:
    """Kill a run at some random moments after it has begun, or begun again, to write; then let it end.

    How often it was killed: a run that is faster than that ends before.
    """
    monkeypatch.setenv("PYTHONPATH", str(Path(stops.__file__).parent))
    context = multiprocessing.get_context("forkserver")  # what is imported is so once
    context.set_forkserver_preload(["stops"])
    chance = random.Random(0)

    def last_written(log: Path) -> int:
        return log.stat().st_mtime_ns if log.exists() else 0

    def kill(folder: Path, moments: int) -> int:
        killed = 0
        while killed < moments:
            before = last_written(folder / "out" / "events.jsonl")
            process = context.Process(target=stops.start_or_resume, args=(folder,))
            process.start()
            while process.is_alive() and last_written(folder / "out" / "events.jsonl") == before:
                time.sleep(0.0005)
            time.sleep(chance.uniform(0, 0.3))
            process.kill()
            process.join()
            if process.exitcode != -signal.SIGKILL:
                break
            killed += 1
        stops.start_or_resume(folder)
        return killed

    return kill


def test_killed_at_random_moments_it_ends_the_same(
    tmp_path: Path, unbroken: dict[str, Any], kill_and_resume: Callable[[Path, int], int]
) -> None:
    kill_and_resume(tmp_path, 3)
    assert differences(left(tmp_path / "out"), unbroken) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_fifty_random_moments_it_ends_the_same(
    tmp_path: Path, unbroken: dict[str, Any], kill_and_resume: Callable[[Path, int], int]
) -> None:
    killed = 0
    while killed < 50:
        folder = tmp_path / str(killed)
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was too fast
        killed += kill_and_resume(folder, 5)
        assert differences(left(folder / "out"), unbroken) == []


def test_checkpoints_of_a_stopped_run_are_whole(tmp_path: Path) -> None:
    stop(tmp_path, "color", 6, "signal")
    (state,) = [load_checkpoint(path) for path in (tmp_path / "out" / "checkpoints").glob("color-*7.safetensors")]
    assert (state["stage"], state["step"]) == ("color", 7)
    assert {"guidance.paint", "representation", "renderer"} == set(state["parts"])
    assert state["optimizer"]["taken"] == 7
