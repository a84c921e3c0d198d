"""Whatever is wrong with a checkpoint, or a run's other files: what was saved, or a message that names the file."""

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import changed, damaged_bytes, often, told
from gen3d.checkpoint import load_checkpoint, save_checkpoint
from gen3d.resume import resume
from gen3d.weights.tensor_file import read_tensor_file
from stops import Stopper, differences, left, plugins, stoppable

STATE: dict[str, Any] = {
    "stage": "shape",
    "step": 7,
    "parts": {"a": {"x": torch.arange(6.0).view(2, 3), "b": torch.tensor([True, False])}, "empty": {}},
    "optimizer": {"taken": 3, "moments": [torch.ones(2, dtype=torch.float16), torch.zeros(0)]},
}


def saved(folder: Path) -> bytes:
    """The state as a file."""
    save_checkpoint(folder / "whole.safetensors", STATE)
    return (folder / "whole.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint."""
    return saved(tmp_path_factory.mktemp("whole"))


def check(path: Path, content: bytes) -> str:
    """What a person is told of a checkpoint; where that is nothing, it is what was saved."""
    path.write_bytes(content)
    states: list[dict[str, Any]] = []
    shown = told(lambda: states.append(load_checkpoint(path)))
    assert str(path) in shown if shown else differences(states[0], STATE) == []
    return shown


@often(500, 60)
@given(data=st.data())
def test_a_damaged_checkpoint(tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject) -> None:
    content = data.draw(damaged_bytes(whole))
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    check(path, content)


def parsed(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and what follows it."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: Any, rest: bytes) -> bytes:
    """A safetensors file."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


@often(150, 40)
@given(data=st.data())
def test_a_checkpoint_with_another_header(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    header, rest = parsed(whole)
    own = json.loads(header["__metadata__"]["gen3d"])
    if data.draw(st.booleans()):
        header["__metadata__"]["gen3d"] = json.dumps(data.draw(changed(own)).recipe)
    else:
        header = data.draw(changed(header)).recipe
    check(tmp_path_factory.getbasetemp() / "header.safetensors", joined(header, rest))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"{}",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        joined([], b""),
        joined({}, b"x"),
    ],
)
def test_what_is_no_checkpoint_at_all(tmp_path: Path, content: bytes) -> None:
    assert "damaged or no checkpoint" in check(tmp_path / "none.safetensors", content)


def test_a_header_that_nests_without_end(tmp_path: Path, whole: bytes) -> None:
    header, rest = parsed(whole)
    for text in ("[" * 100_000, '{"version": 1, "state": ' + '{"list": [' * 3000 + "]}" * 3000 + "}"):
        header["__metadata__"]["gen3d"] = text
        assert "damaged or no checkpoint" in check(tmp_path / "deep.safetensors", joined(header, rest))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its second stage, with a checkpoint of each."""
    folder = tmp_path_factory.mktemp("stopped")
    run = stoppable(folder, Stopper("color", 6))
    with pytest.raises(KeyboardInterrupt):
        run.start()
    return folder / "out"


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the run leaves when nobody stops it."""
    folder = tmp_path_factory.mktemp("unbroken")
    stoppable(folder).start()
    return left(folder / "out")


def resumed(stopped: Path, folder: Path, file: str, content: bytes) -> str:
    """What a person is told who resumes a run of which one file was changed; the run may well end."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(stopped, folder)
    (folder / file).write_bytes(content)
    return told(lambda: resume(folder, plugins()))


@often(100, 8)
@given(data=st.data())
def test_a_run_with_a_damaged_checkpoint_ends_the_same(
    tmp_path_factory: pytest.TempPathFactory, stopped: Path, unbroken: dict[str, Any], data: st.DataObject
) -> None:
    names = sorted(str(path.relative_to(stopped)) for path in (stopped / "checkpoints").iterdir())
    name = data.draw(st.sampled_from(names))
    folder = tmp_path_factory.getbasetemp() / "run-with-a-damaged-checkpoint"
    assert not resumed(stopped, folder, name, data.draw(damaged_bytes((stopped / name).read_bytes())))
    for path in (folder / "checkpoints").glob("*.damaged"):
        path.unlink()
    assert differences(left(folder), unbroken) == []


@often(150, 20)
@given(data=st.data())
def test_a_run_with_other_files_changed(
    tmp_path_factory: pytest.TempPathFactory, stopped: Path, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["run.json", "run.json", "events.jsonl", "resolved.yaml", "recipe.yaml"]))
    content = (stopped / name).read_bytes()
    if name == "run.json" and data.draw(st.booleans()):
        content = json.dumps(data.draw(changed(json.loads(content))).recipe).encode()
    else:
        content = data.draw(damaged_bytes(content))
    folder = tmp_path_factory.getbasetemp() / "run-with-other-files"
    shown = resumed(stopped, folder, name, content)
    assert not shown or name in shown or str(folder) in shown


@often(100, 20)
@given(data=st.data())
def test_a_damaged_file_of_tensors(tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp()
    torch.save({"x": torch.ones(3), "n": {"y": torch.zeros(2)}}, folder / "whole.pt")
    suffix, content = data.draw(st.sampled_from([(".safetensors", whole), (".pt", (folder / "whole.pt").read_bytes())]))
    path = folder / f"tensors{suffix}"
    path.write_bytes(data.draw(damaged_bytes(content)))
    shown = told(lambda: read_tensor_file(path))
    assert not shown or str(path) in shown


def test_a_checkpoint_that_was_made_of_something_else_is_named(tmp_path: Path, stopped: Path) -> None:
    """Whole, of the same recipe, and yet of no use: as another version of a plugin may have left it."""
    name = "checkpoints/color-00000004.safetensors"
    state = load_checkpoint(stopped / name)
    for number, other in enumerate(
        (
            {"parts": {}},
            {"parts": None},
            {"parts": {**state["parts"], "representation": {}}},
            {"optimizer": {"moments": 3}},
            {"optimizer": []},
            {"step": "four"},
            {"run": {}},
            {"run": None},
        )
    ):
        save_checkpoint(tmp_path / "other.safetensors", {**state, **other})
        folder = tmp_path / str(number)
        shown = resumed(stopped, folder, name, (tmp_path / "other.safetensors").read_bytes())
        assert not shown or "color" in shown, shown
        assert shown or list((folder / "checkpoints").glob("*.damaged"))
