"""What the tests of the text recipes share: their settings by path, and runs on tiny networks of the real classes."""

import json
from pathlib import Path
from typing import Any

import torch
import trimesh
from torch import Tensor

from gen3d import Views
from gen3d.build import parameters
from gen3d.camera_sampler import CameraSampler
from gen3d.cli import cli, guarded
from gen3d.plugins import installed
from gen3d.recipe import Recipe
from gen3d.registry import KINDS
from gen3d.run import Run
from tiny_stable_diffusion import write_tiny_stable_diffusion

RECIPES = Path(__file__).parents[2] / "recipes"
PROMPT = "inputs.prompt=cat"
"""The tiny text encoder reads 18 letters."""

SMALL_EXPORT = ("export.texture=64", "export.triangles=500")
TINY_GRID = tuple(
    f"representation.{key}" for key in ("levels=3", "table_log2=8", "coarsest=4", "finest=16", "voxel_size=0.15")
)


def setting(recipe: Recipe, path: str) -> Any:
    """What a recipe says at "STAGE.KEY. ... .KEY", or the component's default."""
    stage, *parents, key = path.split(".")
    node = recipe.stages[stage].values
    for parent in parents:
        node = node[parent]
    if key in node or not parents:
        return node[key]
    return parameters(_component(node, parents[-1]))[key].default


def _component(node: dict[str, Any], name: str) -> type:
    if name == "cameras":
        return CameraSampler
    registry = installed().registry
    (kind,) = (kind for kind in KINDS if node["type"] in registry.names(kind))
    return registry.component(kind, node["type"]).load()


def differences(recipe: Recipe, table: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Where a recipe differs from a published table: what each says."""
    said = {path: setting(recipe, path) for path in table}
    return {path: (said[path], table[path]) for path in table if said[path] != table[path]}


def start(name: str, folder: Path, *overrides: str) -> Run:
    """Run a full recipe on tiny weights of the real classes."""
    weights = write_tiny_stable_diffusion(folder / "weights")
    given = [PROMPT, f"output={folder / 'run'}", f"guidance.text.prior.weights={weights}", *SMALL_EXPORT, *overrides]
    run = Run(Recipe.load(RECIPES / f"{name}.yaml", given))
    run.start()
    return run


def drawn(run: Run, index: int) -> tuple[Views, Tensor]:
    """The views of a stage's next step, and the loss of its guidance by text on them."""
    parts = run.stages[index]
    step = run.stage.step(0)
    guidance = parts.guidance["text"]
    for _, part in parts.parts():
        part.at(step)
    (cameras,) = guidance.cameras(step, parts.cameras.sample(step))
    views = parts.renderer(parts.representation, cameras, step, guidance.needs)
    return views, guidance(step, views).loss


def check_gradient(loss: Tensor, picture: Tensor) -> None:
    """The guidance's gradient arrives through the autoencoder in each channel."""
    (gradient,) = torch.autograd.grad(loss, picture)
    assert gradient.isfinite().all()
    assert gradient.abs().amax(dim=(0, 1, 2)).gt(0).all()


def check_asset(run: Run) -> None:
    """A textured GLB within the budget."""
    assert run.outputs[0].name == "asset.glb"
    mesh = trimesh.load(run.outputs[0], force="mesh")
    assert 0 < len(mesh.faces) <= 500
    assert mesh.visual.material.baseColorTexture.size == (64, 64)
    assert json.loads((run.directory / "run.json").read_text())["status"] == "done"


def command(name: str, *arguments: str) -> int:
    """The exit code of `gen3d run` of a shipped recipe."""
    given = ["run", str(RECIPES / f"{name}.yaml"), *arguments]
    return guarded(lambda: cli.main(args=given, standalone_mode=False))


def check_mini(name: str, *overrides: str) -> None:
    """The profile `mini` is valid, and asks for the embedded weights only."""
    assert command(name, "--profile", "mini", "--dry-run", *overrides) == 0
    assert set(weights(Recipe.load(RECIPES / f"{name}.yaml", overrides, "mini").resolved())) == {"mini"}


def weights(value: Any) -> list[str]:
    """Whatever is called so, anywhere in it."""
    if not isinstance(value, dict):
        return []
    own = [value["weights"]] if "weights" in value else []
    return own + [name for inner in value.values() for name in weights(inner)]
