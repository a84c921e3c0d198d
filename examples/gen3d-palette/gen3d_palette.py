"""Pull rendered colours towards a few given ones."""

import torch

import gen3d


class Palette(gen3d.Guidance):
    """Mean distance from each covered pixel to the nearest of the colours.

    Args:
        colors: sRGB in [0, 1], each as [red, green, blue].
    """

    needs = frozenset({"image", "alpha"})
    colors: torch.Tensor

    def __init__(self, colors: list[tuple[float, float, float]]) -> None:
        super().__init__()
        if not colors:
            raise gen3d.BadInput("there are no colors", remedy="give at least one, such as [[0.8, 0.3, 0.1]]")
        self.register_buffer("colors", torch.tensor(colors))

    def forward(self, step: gen3d.Step, *views: gen3d.Views) -> gen3d.Signal:
        """The mean over pixels, each counted as much as the object covers it."""
        gap = torch.cdist(views[0].color.reshape(-1, 3), self.colors).amin(dim=1)
        alpha = views[0].alpha.flatten()
        return gen3d.Signal(loss=(gap * alpha).sum() / alpha.sum().clamp_min(1))


@gen3d.hookimpl
def register_components(registry: gen3d.Registrar) -> None:
    """Make `type: palette` known to recipes."""
    registry.guidance("palette", Palette)
