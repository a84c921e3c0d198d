"""What TensorBoard reads back of a run."""

import builtins
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import gen3d_monitor
import gen3d_tensorboard
from core_toys import core_plugins, toy_run
from gen3d import Unavailable
from gen3d.run import Run

pytest.importorskip("tensorboard")
pytestmark = pytest.mark.filterwarnings("ignore:.*pkg_resources.*:UserWarning")


def boarded(folder: Path, *overrides: str, logs: tuple[str, ...] = ("tensorboard",)) -> Run:
    """A run of toy parts with these logs."""
    plugins = core_plugins()
    plugins.load("monitor", "0", lambda: gen3d_monitor)
    plugins.load("tensorboard", "0", lambda: gen3d_tensorboard)
    run = toy_run(folder, *overrides, plugins=plugins)
    run.logs = logs
    return run


# imageio's reader of videos leaves its pipes to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_scalars_are_those_of_the_events_and_the_pictures_are_there(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = boarded(tmp_path, "guidance.bad={type: trouble, kind: loss, first: 1, last: 1}")
    run.start()
    assert [message for message in run.warnings if "log 'tensorboard'" in message] == []
    board = EventAccumulator(str(tmp_path / "out" / "tensorboard"))
    board.Reload()
    events = [json.loads(text) for text in (tmp_path / "out" / "events.jsonl").read_text().splitlines()]
    expected = [(event["step"], event["terms"]["paint"]) for event in events if event["event"] == "step"]
    scalars = [(scalar.step, scalar.value) for scalar in board.Scalars("main/paint")]
    assert [step for step, _ in scalars] == [step for step, _ in expected] == [0, 1, 2]
    assert [value for _, value in scalars] == pytest.approx([value for _, value in expected])
    assert set(board.Tags()["images"]) == {"main/preview", "turntable", "contact_sheet"}
    preview = (tmp_path / "out" / "preview" / "latest.png").read_bytes()
    assert board.Images("main/preview")[0].encoded_image_string == preview
    with Image.open(io.BytesIO(board.Images("turntable")[0].encoded_image_string)) as turntable:
        assert (turntable.format, turntable.size) == ("GIF", (256, 256))
        assert turntable.n_frames > 1  # equal ones are one frame
    (warning,) = board.Tensors("warnings/text_summary")
    assert b"not finite: bad" in warning.tensor_proto.string_val[0]


def test_nothing_is_written_unless_it_is_asked_for(tmp_path: Path) -> None:
    boarded(tmp_path, logs=()).start()
    assert not (tmp_path / "out" / "tensorboard").exists()


def test_without_the_package_the_remedy_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "torch.utils.tensorboard":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(Unavailable, match=r"tensorboard is not installed\n  pip install 'gen3d\[tensorboard\]'"):
        boarded(tmp_path).start()
    assert not (tmp_path / "out").exists()
