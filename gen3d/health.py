"""The terms of a step as numbers, what happens to one that is not finite, and to an object that comes to nothing."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from gen3d.appearance import Eye
from gen3d.build import parameters
from gen3d.errors import Degenerate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from gen3d.guidance import Signal
    from gen3d.part import Step
    from gen3d.run import Run
    from gen3d.stage import StageParts
    from gen3d.views import Views

PATIENCE = 20
"""Steps in a row without a finite loss after which the run goes back to its last checkpoint and stops."""


def numbers(losses: dict[str, Tensor], signals: dict[str, Signal], weights: dict[str, float]) -> dict[str, float]:
    """The weighted terms as numbers, with one transfer from the device; a signal's own "value" replaces its loss."""
    if not losses:
        return {}
    shown = [  # adding 0 * loss lets a loss that is not finite show, whatever its value says
        weights[name] * torch.as_tensor(signals[name].log["value"], device=loss.device) + 0 * loss
        if "value" in signals[name].log
        else loss
        for name, loss in losses.items()
    ]
    return dict(zip(losses, torch.stack([x.detach().float() for x in shown]).tolist(), strict=True))


def watch(run: Run, parts: StageParts, step: Step, *, finite: bool) -> None:
    """Of a step that was not finite, and so changed nothing, count it and name the terms that are to blame.

    Raises:
        Degenerate: it was the last of PATIENCE such steps in a row; the parts are those of the last checkpoint.
    """
    in_a_row = run.files.count(skipped=not finite)
    if finite:
        return
    culprits = [name for name, value in run.terms.items() if not math.isfinite(value)] or ["the gradient"]
    run.warn(f"stage {step.stage}, step {step.index}: not finite: {', '.join(culprits)}; the step is skipped")
    if in_a_row < PATIENCE:
        return
    kept = run.files.roll_back(parts)
    raise Degenerate(
        f"{', '.join(culprits)} stayed not finite for {PATIENCE} steps"
        + (f"; the object is that of the checkpoint after {kept} steps" if kept else ""),
        place=f"stage {step.stage}, step {step.index}",
        remedy="lower the learning rate or that guidance's weight, and run again",
    )


class Watch:
    """Warns of an object that is on its way to none: each kind once a stage, with what could be changed.

    Args:
        run: is told.
        parts: of the stage.
    """

    def __init__(self, run: Run, parts: StageParts) -> None:
        self.run, self.parts = run, parts
        self.eye = Eye(parts.steps, parts.representation)
        self._told: set[str] = set()

    def look(self, views: Iterable[Views], step: Step) -> None:
        """Judge the object by a step's views, ten times a stage."""
        appearance = self.eye.look(views, step)
        if appearance is None:
            return
        found = appearance.verdicts
        self.run.files.log("health", stage=step.stage, step=step.index, **asdict(appearance), verdicts=list(found))
        for kind, cause in found.items():
            if kind not in self._told:
                self._told.add(kind)
                self.run.warn(f"stage {step.stage}, step {step.index}: {cause}; {self.hint(kind)}")

    def hint(self, kind: str) -> str:
        """What to change, by the keys of the recipe."""
        guidance = self.parts.guidance
        shape = [f"guidance.{name}.weight" for name, term in guidance.items() if "image" not in term.needs]
        likeness = [f"guidance.{name}.weight" for name in guidance if self._scale(name) is None]
        scales = [scale for name in guidance if (scale := self._scale(name))]
        blob = [f"representation.{key}" for key in parameters(type(self.parts.representation)) if key == "blob_density"]
        options = {
            "empty": [("raise", blob), ("lower", [*shape, "optimizer.lr"])],
            "block": [("lower", [*blob, "optimizer.lr"]), ("raise", shape)],
            "flat": [("raise", ["cameras.views"]), ("lower", [*likeness, *scales])],
            "saturated": [("lower", [*scales, "optimizer.lr"])],
        }[kind]
        return " or ".join(f"{verb} {', '.join(map(self._place, keys))}" for verb, keys in options if keys)

    def _scale(self, name: str) -> str | None:
        """The key of a guidance's classifier-free guidance, if it has one."""
        objective = getattr(self.parts.guidance[name], "objective", None)
        return f"guidance.{name}.objective.cfg_scale" if hasattr(objective, "cfg_scale") else None

    def _place(self, key: str) -> str:
        """The key as an override takes effect: of the stage, where that sets it itself."""
        below = ("stages", self.parts.name, *key.split("."))
        return ".".join(below) if below in self.run.recipe.config.places else key
