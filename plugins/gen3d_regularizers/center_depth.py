"""The object is in the middle (Wang et al. 2022, Score Jacobian Chaining, the released code, corrected)."""

from gen3d.guidance import Guidance, Signal
from gen3d.part import Step
from gen3d.views import Views


class CenterDepth(Guidance):
    """-log(max(mean depth of the border - mean depth of the middle, 1e-12)).

    The published code has the difference the other way round, which gives NaN where the object is in the middle, with
    the gradient that is meant; its authors say so. Weights of 10 to 100 were used.

    Args:
        margin: width of the border, as a share of the picture's side; published: 7 of 64 pixels.
    """

    needs = frozenset({"depth"})

    def __init__(self, margin: float = 7 / 64) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, step: Step, *views: Views) -> Signal:
        """The formula above."""
        depth = views[0].depth
        height, width = (max(1, round(self.margin * side)) for side in depth.shape[1:3])
        middle = depth[:, height:-height, width:-width]
        inside, total = middle[0].numel(), depth[0].numel()
        border = (depth.sum(dim=(1, 2, 3)) - middle.sum(dim=(1, 2, 3))) / (total - inside)
        gap = border - middle.mean(dim=(1, 2, 3))
        return Signal(-gap.clamp_min(1e-12).log().mean())
