"""The input picture as a guidance: seen from its camera, the object looks like it."""

from jaxtyping import Float
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.errors import Unsupported
from gen3d.guidance import Guidance, Prior, Signal
from gen3d.part import Stage, Step
from gen3d.picture import Picture
from gen3d.views import Views


class ReferenceView(Guidance):
    """Mean squared error between the input view and the prepared picture, colours counted from -1 to 1.

    Zero-1-to-3's reconstruction weighs it with 10,000. A field of latents is decoded first, with its gradient, by the
    prior of another guidance of the recipe.

    Args:
        size: width and height of the rendered view, pixels or latents; default: as the random cameras'.
        mask_weight: of the mean squared error between opacity and the picture's alpha, added to the colours'.
    """

    needs = frozenset({"image", "alpha"})
    _stage: Stage

    def __init__(self, size: int | None = None, mask_weight: float = 0.0) -> None:
        super().__init__()
        self.size, self.mask_weight = size, mask_weight
        self._pictures: dict[int, Picture] = {}

    def bind(self, stage: Stage) -> None:
        """Raises BadInput without a picture, Unsupported where nothing can decode a field of latents."""
        stage.reference_at()
        latent = getattr(stage.representation, "space", "rgb") == "latent"
        if latent and not find_priors(stage):
            raise Unsupported(
                "latents are compared with the picture through a prior's decoder, and no guidance has a prior",
                place=self.name,
                remedy="add a `distill` guidance, or set representation.channels=rgb",
            )
        self._stage, self._pictures = stage, {}

    def cameras(self, step: Step, random: Cameras) -> tuple[Cameras, ...]:
        """The camera that took the picture, whatever the random ones do."""
        return (self._stage.reference_at(self.size or random.height),)

    def forward(self, step: Step, *views: Views) -> Signal:
        """The two errors; "color" and "mask" are shown beside their sum."""
        image, alpha = self._decoded(views[0]), views[0].alpha
        gap = image - self._picture(image).image
        color = 4 * gap.square().mean()  # 4: colours run from -1 to 1
        mask = (alpha - self._picture(alpha).alpha).square().mean()
        return Signal(color + self.mask_weight * mask, {"color": color.detach(), "mask": mask.detach()})

    def _decoded(self, views: Views) -> Float[Tensor, "1 rows columns 3"]:
        if views.space == "rgb":
            return views.image
        return find_priors(self._stage)[0].decode(views.image.permute(0, 3, 1, 2))

    def _picture(self, like: Float[Tensor, "1 height width channels"]) -> Picture:
        """The input picture at the size of `like`; how large decoded latents are, only decoding tells."""
        size = like.shape[1]
        if size not in self._pictures:
            picture = self._stage.inputs.picture.resized(size)
            self._pictures[size] = Picture(picture.image.to(like.device), picture.alpha.to(like.device))
        return self._pictures[size]


def find_priors(stage: Stage) -> list[Prior]:
    """The priors of the stage's guidances, in their order."""
    priors = (getattr(guidance, "prior", None) for guidance in stage.guidance.values())
    return [prior for prior in priors if isinstance(prior, Prior)]
