"""The object that a run has left in a checkpoint: to go on from with a changed prompt, or to export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from gen3d.checkpoint import load_checkpoint
from gen3d.errors import BadInput
from gen3d.inputs import Inputs
from gen3d.part import Stage, Step
from gen3d.particles import build_object
from gen3d.plugins import installed
from gen3d.recipe import Recipe
from gen3d.registry import Registry, did_you_mean
from gen3d.representation import Representation
from gen3d.run_checkpoints import Checkpoints
from gen3d.stage import defaults, fitting, restore

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Stored:
    """The object of a stage of a run.

    Args:
        run: the run's directory.
        recipe: as it was run.
        stage: the stage's name.
        checkpoint: the file that holds the object.
    """

    run: Path
    recipe: Recipe
    stage: str
    checkpoint: Path

    @classmethod
    def finished(cls, run: Path, stage: str | None = None) -> Stored:
        """What a finished stage of a run directory has left; of the last one by default. Nothing is loaded.

        Raises:
            BadInput: it is no run directory, has no such stage, or the stage has not been finished.
        """
        recipe, checkpoints = _open(run)
        name = stage or list(recipe.stages)[-1]
        if name not in recipe.stages:
            raise BadInput(f"has no stage {name!r}", place=str(run), remedy=did_you_mean(name, recipe.stages))
        if not checkpoints.final(name).is_file():
            done = [other for other in recipe.stages if checkpoints.final(other).is_file()]
            remedy = f"first: gen3d resume {run}" + (f"; finished are: {', '.join(done)}" if done else "")
            raise BadInput(f"stage {name!r} has not been finished", place=str(run), remedy=remedy)
        return cls(run, recipe, name, checkpoints.final(name))

    @classmethod
    def newest(cls, run: Path) -> Stored:
        """The newest that a run directory holds, be the run finished or not. Raises BadInput where there is none."""
        recipe, checkpoints = _open(run)
        for name in reversed(recipe.stages):
            for path in (checkpoints.final(name), *reversed(checkpoints.under_way(name))):
                if path.is_file():
                    return cls(run, recipe, name, path)
        raise BadInput("has no checkpoint yet", place=str(run), remedy=f"first: gen3d resume {run}")

    def load(self, device: torch.device = _CPU, registry: Registry | None = None) -> Representation:
        """The object as the stage left it; no prior is loaded. Raises BadInput where the checkpoint is no good."""
        stage = self._stage(device, registry)
        return restore(stage.representation, stage, load_checkpoint(self.checkpoint))

    def open(self, device: torch.device = _CPU, registry: Registry | None = None) -> tuple[Stage, Step]:
        """The object and its renderer as the stage left them, and the step after which that was; no prior is loaded.

        Raises:
            BadInput: the checkpoint is no good.
            Unsupported: the renderer needs a prior.
        """
        stage, state = self._stage(device, registry), load_checkpoint(self.checkpoint)
        step, renderer = stage.step(int(state["step"]) - 1), stage.renderer
        restore(stage.representation, stage, state)
        renderer.name = "renderer"
        renderer.to(device)
        renderer.bind(stage)
        with fitting(state):
            renderer.load_trained_state(state["parts"]["renderer"])
        renderer.at(step)
        return stage, step

    def _stage(self, device: torch.device, registry: Registry | None) -> Stage:
        config = self.recipe.stages[self.stage]
        config = config.merged(defaults(config))
        representation, renderer = build_object(config, registry or installed().registry)
        steps, seed = int(config.values["steps"]), int(self.recipe.get("seed", 0))
        return Stage(self.stage, steps, seed, device, Inputs(), None, representation, renderer, {})


def _open(run: Path) -> tuple[Recipe, Checkpoints]:
    try:
        found = (run / "resolved.yaml").is_file()
    except (OSError, ValueError):  # what cannot be a path
        found = False
    if not found:
        raise BadInput("is no run directory", place=str(run), remedy="give a directory that `gen3d run` has made")
    return Recipe.load(run / "resolved.yaml"), Checkpoints(run / "checkpoints")
