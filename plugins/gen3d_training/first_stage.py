"""A recipe's first stage, run on prompts, and what it made, drawn as a dataset's objects are."""

import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from gen3d.build import build_component
from gen3d.cameras import Cameras
from gen3d.config import Config
from gen3d.errors import Unavailable
from gen3d.part import Step
from gen3d.particles import Particles
from gen3d.plugins import Plugins
from gen3d.recipe import Recipe
from gen3d.renderer import Renderer
from gen3d.representation import Representation
from gen3d.run import Run
from gen3d.stage import defaults
from gen3d.views import Views
from gen3d.weights import places
from gen3d_training.evaluation import forget_peak, peak_memory

VIEWS, ELEVATION_DEG, RADIUS = 12, 15.0, 1.8
"""Where what was made is seen from: all around, above the horizon, from within the datasets' distances."""

Pictures = UInt8[np.ndarray, "objects views size size 4"]
"""RGBA with straight alpha."""


class FirstStage:
    """A recipe without its later stages and its export.

    Args:
        recipe: file or name.
        profile: its profile.
        overrides: "key=value" for it.
        plugins: where its parts come from.

    Raises:
        BadInput: the recipe cannot be used.
    """

    def __init__(self, recipe: str | Path, profile: str | None, overrides: list[str], plugins: Plugins) -> None:
        whole = Recipe.load(recipe, overrides, profile)
        stage, *later = whole.stages
        self.recipe, self.profile, self.plugins = recipe, profile, plugins
        self.overrides = [*overrides, *(f"stages.{name}=null" for name in later), "export=null"]
        self.name, self.keys = Path(recipe).stem, f"stages.{stage}." if whole.get("stages") else ""
        self.steps = int(whole.stages[stage].values.get("steps") or 0)

    def run(self, prompt: str, particles: int = 1, output: Path | None = None) -> Run:
        """The run of a prompt, not started. Several particles get as many steps, on average, as one would."""
        own = [f"inputs.prompt={json.dumps(prompt)}", *([f"output={output}"] if output else [])]
        if particles > 1:
            own += [f"{self.keys}representation.particles={particles}", f"{self.keys}steps={particles * self.steps}"]
        return Run(Recipe.load(self.recipe, [*self.overrides, *own], self.profile), self.plugins)

    def resolved(self) -> dict[str, Any]:
        """Everything as it will run, and what the weights hold that it names."""
        values = Recipe.load(self.recipe, self.overrides, self.profile).resolved()
        return {"recipe": values, "weights": dict(_weights(values))}


@dataclass(frozen=True, eq=False)
class Made:
    """What a run made.

    Args:
        pictures: of each particle.
        about: seconds, peak memory and warnings of the run.
    """

    pictures: Pictures
    about: dict[str, Any]


def make(stage: FirstStage, prompt: str, particles: int, folder: Path, cameras: Cameras) -> Made:
    """Run a prompt in `folder` and draw the outcome. Raises what the run raises."""
    forget_peak()
    started = time.monotonic()
    run = stage.run(prompt, particles, folder)
    run.start()
    about = {"seconds": round(time.monotonic() - started, 1), "memory_mib": peak_memory(), "warnings": run.warnings}
    return Made(np.stack([*_drawn(run, cameras)]), about)


def around(fov: float, size: int) -> Cameras:
    """The cameras that what was made is seen by; `fov` in radians, `size` in pixels."""
    azimuth = torch.arange(VIEWS) * (2 * math.pi / VIEWS)
    return Cameras.orbit(azimuth, math.radians(ELEVATION_DEG), RADIUS, fov, size)


def save_pictures(pictures: Pictures, path: Path) -> None:
    """As one PNG, a row an object."""
    objects, views, size = pictures.shape[:3]
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = pictures.transpose(0, 2, 1, 3, 4).reshape(objects * size, views * size, 4)
    Image.fromarray(rows).save(path)


def load_pictures(path: Path) -> Pictures:
    """What `save_pictures` wrote, of VIEWS views an object."""
    with Image.open(path) as image:
        sheet = np.asarray(image)
    size = sheet.shape[1] // VIEWS
    return sheet.reshape(-1, size, VIEWS, size, 4).transpose(0, 2, 1, 3, 4)


def _drawn(run: Run, cameras: Cameras) -> Iterator[UInt8[np.ndarray, "views size size 4"]]:
    """Each particle of the run's stage, in its own colours, without the background that it was trained before."""
    (parts,) = run.stages
    config = run.recipe.stages[parts.name]
    config = config.merged(defaults(config))
    if "background" in config.values["renderer"]:
        config = config.merged(Config({"renderer": {"background": "white"}}))
    whole, last = parts.representation, run.stage.step(parts.steps - 1)
    for member in whole.members if isinstance(whole, Particles) else [whole]:
        renderer = build_component("renderer", config, ("renderer",), run.plugins.registry).to(run.device)
        particle = cast("Representation", member)
        renderer.bind(replace(run.stage, representation=particle))
        particle.at(last)
        renderer.at(last)
        yield _rgba(renderer, particle, cameras.to(run.device), last)


@torch.no_grad()
def _rgba(
    renderer: Renderer, particle: Representation, cameras: Cameras, step: Step
) -> UInt8[np.ndarray, "views size size 4"]:
    one_by_one = (renderer(particle, cameras[i], step, frozenset()) for i in range(len(cameras)))
    return np.concatenate([np.asarray((255 * _straight(views)).round().byte().cpu()) for views in one_by_one])


def _straight(views: Views) -> Float[Tensor, "views size size 4"]:
    """Pictures over white as straight alpha. Raises Unsupported for latents."""
    alpha = views.alpha.nan_to_num().clamp(0, 1)
    color = (views.color.nan_to_num() - (1 - alpha)) / alpha.clamp_min(1e-3)
    return torch.cat([color.clamp(0, 1), alpha], dim=-1)


def _weights(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Digest of the files that each `weights` beside a `type` names; none of those that are not there."""
    for value in values.values():
        if isinstance(value, dict):
            yield from _weights(value)
    if isinstance(values.get("weights"), str) and isinstance(values.get("type"), str):
        yield f"{values['type']}: {values['weights']}", _digest(values["weights"], values["type"])


def _digest(name: str, kind: str) -> str:
    try:
        folder = places.find(name, kind)
    except Unavailable:
        return "published"  # under a name that stands for one version
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in _NETWORKS):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


_NETWORKS = {".safetensors", ".bin", ".json"}
