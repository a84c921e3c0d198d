"""A recipe that starts from a stage that another run has finished."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gen3d.checkpoint import load_checkpoint
from gen3d.errors import BadInput, Unsupported
from gen3d.resume import resume
from stops import Stopper, differences, left, plugins, stoppable

EDIT = """\
gen3d: 1
checkpoint_every: 4
cameras: {size: 4, views: 2}
representation: {type: ball}
renderer: {type: toy}
guidance:
  paint: {type: wandering, color: [0.9, 0.2, 0.1]}
optimizer: {type: momentum}
stages:
  first: {steps: 6, from: inputs}
  again: {steps: 3, from: inputs}
  after: {steps: 2, from: again}
export: {type: words}
"""


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power is cut here."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run, whose stages are shape, color and last."""
    folder = tmp_path_factory.mktemp("source")
    stoppable(folder).start()
    return folder / "out"


def final(run: Path, stage: str) -> dict[str, Any]:
    """The object in a stage's final checkpoint."""
    state: dict[str, Any] = load_checkpoint(run / "checkpoints" / f"{stage}-final.safetensors")["parts"][
        "representation"
    ]
    return state


@pytest.mark.parametrize(("stage", "taken"), [("shape", "shape"), ("color", "color"), (None, "last")])
def test_a_stage_starts_from_the_object_of_a_chosen_stage(
    tmp_path: Path, source: Path, stage: str | None, taken: str
) -> None:
    chosen = (f"inputs.run={source}", *([f"inputs.stage={stage}"] if stage else []))
    run = stoppable(tmp_path, text=EDIT, overrides=chosen)
    starts: dict[str, dict[str, torch.Tensor]] = {}
    for parts in run.stages:
        bind = parts.bind_optimizer
        parts.bind_optimizer = lambda parts=parts, bind=bind: (  # type: ignore[method-assign]
            starts.update({parts.name: {k: v.clone() for k, v in parts.representation.trained_state().items()}}),
            bind(),
        )
    run.start()
    expected = final(source, taken)
    expected = expected.get("0", expected)  # the first of two particles
    assert differences(starts["first"], expected) == []
    assert differences(starts["again"], expected) == []  # not what the first stage made of it
    assert differences(starts["after"], final(run.directory, "again")) == []


def test_where_it_came_from_is_written_down(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source.parent)
    run = stoppable(tmp_path, text=EDIT, overrides=("inputs.run=out",))
    run.start()
    record = json.loads((run.directory / "run.json").read_text())
    assert record["inputs"] == {"run": str(source), "stage": "last"}
    assert set(record["sha256"]) == {"resolved.yaml", str(source / "checkpoints" / "last-final.safetensors")}


@pytest.mark.parametrize(("stage", "index"), [("first", 4), ("again", 1), ("after", 0)])
def test_it_can_be_stopped_and_resumed_from_anywhere(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, stage: str, index: int
) -> None:
    stoppable(tmp_path / "unbroken", text=EDIT, overrides=(f"inputs.run={source}",)).start()
    monkeypatch.chdir(source.parent)
    with pytest.raises(KeyboardInterrupt):
        stoppable(tmp_path, Stopper(stage, index), text=EDIT, overrides=("inputs.run=out",)).start()
    monkeypatch.chdir(tmp_path)
    resume("out", plugins())
    assert differences(left(tmp_path / "out"), left(tmp_path / "unbroken" / "out")) == []


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((), r"stages.first.from: there is no run to start from\n  add inputs.run=DIRECTORY of a finished run"),
        (("inputs.stage=color",), r"stages.first.from: there is no run to start from"),
        (("inputs.run=nowhere",), r"nowhere: is no run directory\n  give a directory that `gen3d run` has made"),
        (("inputs.run=../source",), r"\.\./source: is no run directory"),
        (('inputs.run="a\\0b"',), r"is no run directory"),
        ((f"inputs.run={'x' * 5000}",), r"is no run directory"),
        (("inputs.run=SOURCE", "inputs.stage=colour"), r"out: has no stage 'colour'\n  did you mean 'color'\?"),
        (
            ("inputs.run=SOURCE", "stages.first=null", "stages.again=null", "stages.after.from=null"),
            r"inputs.run: nothing",
        ),
        (
            ("inputs.stage=a", "stages.first=null", "stages.again=null", "stages.after.from=null"),
            r"command line: inputs.stage: nothing starts from it\n  add from: inputs to a stage",
        ),
        (("inputs.run=SOURCE", "stages.inputs={steps: 1}"), r"stages.inputs: 'inputs' is what `from` calls"),
        (("inputs.run=SOURCE", "stages.after.from=input"), r"no earlier stage 'input'\n  did you mean 'inputs'\?"),
    ],
)
def test_what_is_refused_before_anything_is_written(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, inputs: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=message):
        stoppable(tmp_path, text=EDIT, overrides=tuple(text.replace("SOURCE", str(source)) for text in inputs)).check()
    assert [path.name for path in tmp_path.iterdir()] == ["stops.yaml"]


def test_a_stage_that_was_not_finished(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stoppable(tmp_path, Stopper("color", 5)).start()
    edit = tmp_path / "edit"
    with pytest.raises(BadInput, match=r"stage 'last' has not been finished\n  first: gen3d resume .*out; .*: shape"):
        stoppable(edit, text=EDIT, overrides=(f"inputs.run={tmp_path / 'out'}",)).check()
    stoppable(edit, text=EDIT, overrides=(f"inputs.run={tmp_path / 'out'}", "inputs.stage=shape")).check()


def test_a_kind_that_cannot_start_from_the_object(tmp_path: Path, source: Path) -> None:
    from gen3d.registry import Component
    from gen3d.testing import ToyField

    run = stoppable(tmp_path, text=EDIT, overrides=(f"inputs.run={source}",))
    run.plugins.registry.add(Component("representation", "other", "test", ToyField))
    again = type(run)(run.recipe.load(tmp_path / "stops.yaml", _other(source, tmp_path)), run.plugins)
    with pytest.raises(Unsupported, match="ToyField cannot start from a Ball"):
        again.start()


def _other(source: Path, folder: Path) -> list[str]:
    return [f"output={folder / 'out'}", f"inputs.run={source}", "stages.first.representation={type: other}"]


def test_a_source_that_has_changed_since_is_noticed(tmp_path: Path) -> None:
    stoppable(tmp_path / "source").start()
    source = tmp_path / "source" / "out"
    with pytest.raises(KeyboardInterrupt):
        stoppable(tmp_path, Stopper("first", 3), text=EDIT, overrides=(f"inputs.run={source}",)).start()
    file = source / "checkpoints" / "last-final.safetensors"
    file.write_bytes((source / "checkpoints" / "shape-final.safetensors").read_bytes())
    with pytest.raises(BadInput, match=r"last-final.safetensors: is not what it was when the run began"):
        resume(tmp_path / "out", plugins())
