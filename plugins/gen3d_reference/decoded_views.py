"""The colour stage: a field of colours is fitted to what the latents of the stage before decode to."""

import copy
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from gen3d.cameras import Cameras
from gen3d.errors import Unsupported
from gen3d.guidance import Guidance, Prior, Signal
from gen3d.part import Stage, Step
from gen3d.renderer import Renderer
from gen3d.representation import RadianceField, Representation
from gen3d.views import Views


class DecodedViews(Guidance):
    """Mean squared error between views and decoded views of the latent object that the stage before left.

    From every random camera a frozen copy is drawn by a copy of this stage's renderer and decoded, without gradients.
    So what is behind the object, and what light falls on it, must be the same for colours and for latents.

    Args:
        prior: whose decoder turns latents into pictures.
        size: width and height of the latent views; Stable Diffusion's decoder makes 8 times as many pixels.
        mask_weight: of the mean squared error between the opacities, added to the colours'.
    """

    needs = frozenset({"image", "alpha"})
    _previous: Representation
    _renderer: Renderer

    def __init__(self, prior: Prior, size: int = 32, mask_weight: float = 0.0) -> None:
        super().__init__()
        self.prior, self.size, self.mask_weight = prior, size, mask_weight

    def bind(self, stage: Stage) -> None:
        """Freeze a copy of the object so far.

        Raises:
            Unsupported: there is none, it is no field of latents, or this stage's renderer cannot draw both alike.
        """
        previous = stage.previous
        if not isinstance(previous, RadianceField) or previous.space != "latent":
            raise Unsupported(
                "decoded_views fits colours to the latents of the stage before, and there is no such stage",
                place=self.name,
                remedy="put it in a stage that follows one with representation.channels=latent",
            )
        self.prior.name = f"{self.name}.prior"
        self.prior.bind(stage)
        self._previous = copy.deepcopy(previous).requires_grad_(requires_grad=False)
        self._renderer = self._own_renderer(stage)

    def forward(self, step: Step, *views: Views) -> Signal:
        """The two errors on the random views; "color" and "mask" are shown beside their sum."""
        image, alpha = self._target(views[0].cameras, step)
        color = (views[0].color - image).square().mean()
        mask = (views[0].alpha - alpha).square().mean()
        return Signal(color + self.mask_weight * mask, {"color": color.detach(), "mask": mask.detach()})

    def _own_renderer(self, stage: Stage) -> Renderer:
        """One that is bound to the latents: their background is not that of the colours."""
        renderer = copy.deepcopy(stage.renderer).to(stage.device)
        cause = "it draws no fields"
        if isinstance(self._previous, renderer.draws):
            try:
                renderer.bind(replace(stage, representation=self._previous, guidance={self.name: self}))
                cause = "its background is learnt" if renderer.param_groups() else ""
            except Unsupported as error:
                cause = error.cause
        if cause:
            cause = f"the renderer of this stage must draw the latents of the stage before too: {cause}"
            remedy = "in this stage set renderer: {type: volume, background: white, random_background: 0, shading: 0}"
            raise Unsupported(cause, place=self.name, remedy=remedy)
        return renderer

    @torch.no_grad()
    def _target(self, cameras: Cameras, step: Step) -> tuple[Tensor, Tensor]:
        old = self._renderer(self._previous, cameras.resized(self.size), step, frozenset({"image", "alpha"}))
        decoded = self.prior.decode(old.image.permute(0, 3, 1, 2)).clamp(0, 1)
        return resized(decoded, cameras), resized(old.alpha, cameras)


def resized(
    pictures: Float[Tensor, "views height width channels"], cameras: Cameras
) -> Float[Tensor, "views rows columns channels"]:
    """Pictures at the size of these cameras', antialiased."""
    size = (cameras.height, cameras.width)
    if pictures.shape[1:3] == size:
        return pictures
    out = interpolate(pictures.permute(0, 3, 1, 2), size, mode="bilinear", align_corners=False, antialias=True)
    return out.permute(0, 2, 3, 1)
