"""Stopped and resumed with the real parts at tiny size: all that evolves comes back, bit for bit."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gen3d.errors import BadInput
from gen3d.plugins import Plugins
from gen3d.recipe import Recipe
from gen3d.resume import resume
from gen3d.run import Run
from stops import Stopper, differences, interruptible, left
from tiny_stable_diffusion import write_tiny_stable_diffusion

PLUGINS = ("distill", "mesh", "nerf", "optimizers", "regularizers", "stable_diffusion", "volume", "voxel")

RECIPE = """\
gen3d: 1
seed: 3
inputs: {prompt: fox}
checkpoint_every: 3
cameras: {size: 16, radius: [1.4, 1.8], fov_deg: [40, 50], center_jitter: 0.1}
renderer: {type: volume, background: network, random_background: 0.3, shading: 0.5, refresh_every: 4}
guidance:
  text:
    type: distill
    prior: {type: stable_diffusion, weights: WEIGHTS, view_text: "{prompt}, {view}"}
    objective: {type: vsd, optimizer: {type: adamw, lr: 0.01}}
  opacity: {type: opacity, weight: {0: 0, 50%: 1}}
optimizer: {type: adamw, lr: {ramp: {0: 0.01, 100%: 0.02}}, groups: {renderer: 0.001}, clip_norm: 10}
stages:
  field:
    steps: 8
    representation:
      type: hash_grid
      particles: 2
      table_log2: 8
      levels: 4
      active_levels: {ramp: {0: 1, 100%: 4}}
      finest: 32
      width: 8
      voxel_size: 0.1
      density_noise: 0.5
  grid:
    steps: 6
    from: field
    representation: {type: voxel, resolution: 12, channels: rgb, density_shift: 1}
    guidance: {text: {objective: {camera_scale: 0.5}}}
  surface:
    steps: 5
    from: grid
    representation:
      type: tetrahedra
      resolution: 8
      threshold: 1
      texture: {type: voxel, resolution: 8, channels: rgb}
    renderer: {type: raster}
    optimizer: {groups: null}
    guidance:
      opacity: null
      smooth: {type: normal_consistency, weight: 1}
"""

EDIT = """\
inputs: {run: RUN, stage: field, prompt: cat}
cameras: {views: 1, size: 16}
renderer: {type: volume}
guidance: {text: {type: distill, prior: {type: stable_diffusion, weights: WEIGHTS}, objective: {type: sds}}}
optimizer: {type: adam, lr: 1.0e-5}
stages:
  coarse: {from: inputs, steps: 2, representation: {type: voxel, resolution: 24, channels: rgb}}
"""


def plugins(*observers: object) -> Plugins:
    """The parts that the recipes name, and these observers: nobody draws pictures."""
    result = Plugins()
    for name in PLUGINS:
        result.load(name, "0", lambda name=name: importlib.import_module(f"gen3d_{name}"))
    for observer in observers:
        result.manager.register(observer)
    assert {status.error for status in result.statuses} == {None}
    return result


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_stable_diffusion(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power is cut here."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def begun(folder: Path, text: str, *observers: object) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "r.yaml").write_text(text)
    return Run(Recipe.load(folder / "r.yaml", [f"output={folder / 'out'}"]), plugins(*observers))


@pytest.fixture(autouse=True)
def signals_interrupt() -> Iterator[None]:
    """Whatever shell this runs in."""
    with interruptible():
        yield


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    begun(folder, RECIPE.replace("WEIGHTS", str(weights))).start()
    return folder / "out"


@pytest.mark.timeout(300)
def test_all_that_evolves_is_in_the_checkpoints(unbroken: Path) -> None:
    states: dict[str, Any] = left(unbroken)["states"]
    field, grid, surface = (states[f"{name}-final.safetensors"] for name in ("field", "grid", "surface"))
    assert {"0", "1"} == set(field["parts"]["representation"]) == set(field["parts"]["renderer"])
    for renderer in (field["parts"]["renderer"]["1"], grid["parts"]["renderer"]):
        assert {"occupancy.floor", "occupancy.near", "occupancy.bounds", "due", "background.0"} <= set(renderer)
    for state in (field, grid, surface):
        text = state["parts"]["guidance.text"]
        assert any(tensor.any() for name, tensor in text["objective.adapter"].items() if name.startswith("lora.1"))
        assert set(text["objective.optimizer"]) == {f"adapter.{name}" for name in text["objective.adapter"]}
        assert len(state["optimizer"]) > 2
    assert {"sdf.0", "bounds", "texture.density.0"} <= {
        n.removeprefix("geometry.") for n in surface["parts"]["representation"]
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("stage", "index", "how"),
    [
        ("field", 4, "crash"),
        ("field", 6, "signal"),
        ("grid", 3, "signal"),
        ("surface", 4, "crash"),
    ],
)
def test_stopped_and_resumed_it_ends_the_same(
    tmp_path: Path, weights: Path, unbroken: Path, stage: str, index: int, how: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        begun(tmp_path, RECIPE.replace("WEIGHTS", str(weights)), Stopper(stage, index, how)).start()
    resume(tmp_path / "out", plugins())
    assert differences(left(tmp_path / "out"), left(unbroken)) == []


@pytest.mark.timeout(300)
def test_another_prompt_starts_from_a_finished_stage(tmp_path: Path, weights: Path, unbroken: Path) -> None:
    """The first particle of the hash grid becomes a voxel grid: nearly the same object after two small steps."""
    text = EDIT.replace("WEIGHTS", str(weights)).replace("RUN", str(unbroken))
    run = begun(tmp_path, text)
    run.start()
    assert run.origin is not None
    before, after = run.origin.load(), run.objects["coarse"]
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.no_grad():
        gap = (before.density(points) - after.density(points)).abs().mean() / before.density(points).mean()
        assert gap < 0.1
        assert (before.features(points) - after.features(points)).abs().mean() < 0.05
    assert run.origin.recipe.get("inputs")["prompt"] == "fox"
    text = text.replace("stage: field", "stage: fields")
    with pytest.raises(BadInput, match="did you mean 'field'"):
        begun(tmp_path / "b", text).start()
