"""Smooth depth (Liu et al. 2023, Zero-1-to-3, the code of its 3D reconstruction)."""

from typing import Literal

import torch

from gen3d.cameras import Cameras
from gen3d.guidance import Guidance, Signal
from gen3d.part import Stage, Step
from gen3d.views import Views
from gen3d_regularizers.differences import mean_differences


class DepthSmoothness(Guidance):
    """S(d) = (mean |d_x| + mean |d_y|) / 2, forward differences of expected depth.

    The published run has it twice: weight 1,000 on the input view in every step, and 10,000 on the random view from
    half of the steps on. Its depth counts the background at 10, so that silhouettes cost much.

    Args:
        view: the random views, or the input view at the size of the recipe's cameras.
    """

    needs = frozenset({"depth"})
    _stage: Stage

    def __init__(self, view: Literal["random", "input"] = "random") -> None:
        super().__init__()
        self.view = view

    def bind(self, stage: Stage) -> None:
        """Raises BadInput where the input view is asked for and there is no picture."""
        if self.view == "input":
            stage.reference_at()
        self._stage = stage

    def cameras(self, step: Step, random: Cameras) -> tuple[Cameras, ...]:
        """One of the two."""
        return (random if self.view == "random" else self._stage.reference_at(random.height),)

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above."""
        return Signal(mean_differences(views[0].depth, torch.abs) / 2)
