"""Smooth normals, in the picture (stable-dreamfusion's and threestudio's "2D normal smoothness")."""

import torch

from gen3d.errors import Unsupported
from gen3d.guidance import Guidance, Signal
from gen3d.part import Step
from gen3d.views import Views
from gen3d_regularizers.differences import mean_differences


class NormalSmoothness(Guidance):
    """mean (n_x)^2 + mean (n_y)^2, forward differences of the rendered normals, over pixels and components."""

    needs = frozenset({"normal"})

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above."""
        normal = views[0].normal
        if normal is None:
            raise Unsupported("the renderer gave no normals", place=self.name, remedy="choose one that offers them")
        return Signal(mean_differences(normal, torch.square))
