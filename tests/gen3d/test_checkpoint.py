"""Checkpoints come back as they were, or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from gen3d.checkpoint import load_checkpoint, save_checkpoint, write_atomically
from gen3d.errors import BadInput


def test_nested_state_comes_back(tmp_path: Path) -> None:
    state: dict[str, Any] = {
        "stage": "shape",
        "step": 3,
        "parts": {
            "representation": {"density.0": torch.randn(2, 3), "occupancy": torch.tensor([True, False])},
            "renderer": {},
        },
        "optimizer": {
            "state": {0: {"step": torch.tensor(3.0)}, 1: {}},
            "groups": [{"lr": 0.1, "betas": (0.9, 0.99)}, None],
        },
        "half": torch.tensor([1.5], dtype=torch.bfloat16),
        "big": 2**70,
        "text": "é\n",
    }
    save_checkpoint(tmp_path / "folder" / "c.safetensors", state)
    loaded = load_checkpoint(tmp_path / "folder" / "c.safetensors")
    state["optimizer"]["groups"][0]["betas"] = [0.9, 0.99]  # tuples become lists
    torch.testing.assert_close(loaded["parts"], state["parts"])
    torch.testing.assert_close(loaded["optimizer"]["state"], state["optimizer"]["state"])
    assert list(loaded["optimizer"]["state"]) == [0, 1]
    assert loaded["optimizer"]["groups"] == state["optimizer"]["groups"]
    assert loaded["half"].dtype == torch.bfloat16
    assert {key: loaded[key] for key in ("stage", "step", "big", "text")} == {
        key: state[key] for key in ("stage", "step", "big", "text")
    }


def test_views_of_one_storage_and_gradients_are_saved_as_they_look(tmp_path: Path) -> None:
    whole = torch.arange(6.0, requires_grad=True)
    save_checkpoint(tmp_path / "c", {"whole": whole, "part": whole[::2], "same": whole, "turned": whole.view(2, 3).T})
    loaded = load_checkpoint(tmp_path / "c")
    assert loaded["part"].tolist() == [0, 2, 4]
    assert loaded["same"].tolist() == loaded["whole"].tolist()
    assert loaded["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert not loaded["whole"].requires_grad


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "c"
    for data in (b"a longer first text", b"short"):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert [p.name for p in path.parent.iterdir()] == ["c"]


@pytest.mark.parametrize("length", [0, 4, 8, 100, -1])
def test_a_truncated_file_is_damaged(tmp_path: Path, length: int) -> None:
    path = tmp_path / "c"
    save_checkpoint(path, {"x": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BadInput, match="damaged or no checkpoint") as caught:
        load_checkpoint(path)
    assert caught.value.place == str(path)


def test_a_changed_byte_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "c"
    numbers = {
        "x": torch.arange(6.0),
        "flags": torch.tensor([True, False]),
        "none": torch.empty(0),
        "one": torch.tensor(1),
    }
    save_checkpoint(path, {**numbers, "half": torch.ones(2, dtype=torch.bfloat16), "step": 3})
    whole = path.read_bytes()
    padding = len(whole) - len(whole.rstrip(b" "))
    assert load_checkpoint(path)["step"] == 3
    for place in range(0, len(whole) - padding, 7):
        if whole[place : place + 1] == b" ":
            continue  # between the header's words
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BadInput, match=r"damaged|version"):
            load_checkpoint(path)


def test_checkpoints_from_before_there_were_checksums_can_be_read(tmp_path: Path) -> None:
    save_file({"x": torch.ones(2)}, tmp_path / "c", header(1, {"map": [["x", {"tensor": "x"}]]}))
    assert load_checkpoint(tmp_path / "c")["x"].tolist() == [1, 1]


def header(version: Any, state: Any) -> dict[str, str]:
    """What a checkpoint's header holds."""
    return {"gen3d": json.dumps({"version": version, "state": state})}


@pytest.mark.parametrize(
    ("metadata", "cause"),
    [
        (None, "damaged or no checkpoint"),
        ({"format": "pt"}, "damaged or no checkpoint"),
        ({"gen3d": "{"}, "damaged or no checkpoint"),
        ({"gen3d": "[]"}, "damaged or no checkpoint"),
        ({"gen3d": "{}"}, "damaged or no checkpoint"),
        (header(3, {}), "checkpoint version 3 is not known"),
        (header(2, {"map": []}), "damaged or no checkpoint"),
        ({"gen3d": json.dumps({"version": 2, "state": {"map": []}, "sha256": ""})}, "its checksum is another one"),
        (header(1, {}), "damaged or no checkpoint"),
        (header(1, {"tensor": "y"}), "damaged or no checkpoint"),
        (header(1, 3), "damaged or no checkpoint"),
        (header(1, {"map": 3}), "damaged or no checkpoint"),
        (header(1, {"map": [[{}, {"value": 1}]]}), "damaged or no checkpoint"),
    ],
)
def test_what_is_no_checkpoint_says_so(tmp_path: Path, metadata: dict[str, str] | None, cause: str) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "c", metadata)
    with pytest.raises(BadInput, match=cause):
        load_checkpoint(tmp_path / "c")


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1)}, tmp_path / "c")
    with pytest.raises(BadInput, match="damaged or no checkpoint"):
        load_checkpoint(tmp_path / "c")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        load_checkpoint(tmp_path / "gone")
    with pytest.raises(BadInput, match="no checkpoint"):
        load_checkpoint(tmp_path)
