"""The terms of a step as numbers, and what happens to a step that has one that is not finite."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from gen3d.errors import Degenerate

if TYPE_CHECKING:
    from torch import Tensor

    from gen3d.guidance import Signal
    from gen3d.part import Step
    from gen3d.run import Run
    from gen3d.stage import StageParts

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
