"""What renderers draw behind the object."""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d import rng
from gen3d.cameras import Cameras
from gen3d.errors import BadInput, Unsupported
from gen3d.guidance import Prior
from gen3d.part import Stage, Step
from gen3d.schedule import Schedule
from gen3d.transfer import sent
from gen3d.views import Space

Spec = Literal["white", "black", "texture", "network"] | list[float]
"""What a recipe's `background` says: a colour, or what is learnt by the direction, in 4 x 4 texels or by a network."""

_SOLIDS = {"white": [1.0, 1.0, 1.0], "black": [0.0, 0.0, 0.0]}
_TEXELS = 4  # published SJC
_WIDTHS = [9, 16, 16]  # threestudio: harmonics, two hidden layers
_SIDE = 256  # of the plain picture whose latents become the background


class Background(nn.Module, ABC):
    """Gives each ray what it sees where nothing is in its way."""

    @abstractmethod
    def forward(
        self, cameras: Cameras, directions: Float[Tensor, "views height width 3"]
    ) -> Float[Tensor, "views height width channels"]:
        """The picture of the background; `directions` are those of the rays, of unit length."""


class Solid(Background):
    """One colour."""

    color: Tensor

    def __init__(self, color: Float[Tensor, " channels"]) -> None:
        super().__init__()
        self.register_buffer("color", color, persistent=False)

    def forward(
        self, cameras: Cameras, directions: Float[Tensor, "views height width 3"]
    ) -> Float[Tensor, "views height width channels"]:
        """That colour."""
        return self.color.expand(len(cameras), cameras.height, cameras.width, -1)


class Screen(Background):
    """A picture fixed to the screen: latents of a white picture differ towards its borders (published 3drec).

    Args:
        picture: resized bilinearly, without antialiasing, to the size of the view.
    """

    picture: Tensor

    def __init__(self, picture: Float[Tensor, "channels height width"]) -> None:
        super().__init__()
        self.register_buffer("picture", picture, persistent=False)

    def forward(
        self, cameras: Cameras, directions: Float[Tensor, "views height width 3"]
    ) -> Float[Tensor, "views height width channels"]:
        """The picture, resized."""
        size = (cameras.height, cameras.width)
        resized = nn.functional.interpolate(self.picture[None], size, mode="bilinear", align_corners=False)[0]
        return resized.permute(1, 2, 0).expand(len(cameras), -1, -1, -1)


class Texture(Background):
    """A small learnable picture on the sphere of directions, polar angle along its width, azimuth along its height.

    It neither wraps nor clamps: as published, it fades to half at the poles and at the azimuth of 180 degrees.
    Source: Wang et al. 2022 (Score Jacobian Chaining), published code.

    Args:
        texture: the start, usually from N(0, 1).
        space: colours pass through a sigmoid.
    """

    def __init__(self, texture: Float[Tensor, "channels height width"], space: Space) -> None:
        super().__init__()
        self.texture, self.space = nn.Parameter(texture), space

    def forward(
        self, cameras: Cameras, directions: Float[Tensor, "views height width 3"]
    ) -> Float[Tensor, "views height width channels"]:
        """The texture in the direction of each ray."""
        x, y, z = directions.unbind(-1)
        polar = torch.atan2(torch.hypot(x, y), z) / torch.pi
        azimuth = torch.atan2(y, x) / (2 * torch.pi) + 0.5
        places = 2 * torch.stack([polar, azimuth], dim=-1) - 1
        texture = self.texture.sigmoid() if self.space == "rgb" else self.texture
        rows = places.flatten(0, 1)[None].to(texture.dtype)
        values = nn.functional.grid_sample(texture[None], rows, padding_mode="zeros", align_corners=False)[0]
        return values.permute(1, 2, 0).view(*directions.shape[:3], -1)


class Network(Background):
    """A small network of the direction, by its spherical harmonics up to the second degree (threestudio).

    So small that it can hold a gradient around the object, and not the object.

    Args:
        weights: of its layers, which have no biases.
        space: colours pass through a sigmoid.
    """

    def __init__(self, weights: list[Tensor], space: Space) -> None:
        super().__init__()
        self.weights, self.space = nn.ParameterList(weights), space

    def forward(
        self, cameras: Cameras, directions: Float[Tensor, "views height width 3"]
    ) -> Float[Tensor, "views height width channels"]:
        """The network's answer for the direction of each ray."""
        *hidden, last = self.weights
        values = harmonics(directions).to(last.dtype)
        for weight in hidden:
            values = nn.functional.linear(values, weight).relu()
        values = nn.functional.linear(values, last)
        return values.sigmoid() if self.space == "rgb" else values


def harmonics(directions: Float[Tensor, "*rays 3"]) -> Float[Tensor, "*rays 9"]:
    """Real spherical harmonics of degree 0, 1 and 2, each with the mean square 1 over the sphere."""
    x, y, z = directions.unbind(-1)
    first = [3**0.5 * axis for axis in (y, z, x)]
    mixed = [15**0.5 * product for product in (x * y, y * z, x * z, (x * x - y * y) / 2)]
    return torch.stack([torch.ones_like(x), *first, *mixed, 5**0.5 * (3 * z * z - 1) / 2], dim=-1)


class Backdrop(nn.Module):
    """A renderer's background: what the recipe says, and in a share of the training steps one random colour instead.

    The input view is never drawn over a random colour, since it is compared with a picture over white.

    Args:
        spec: the recipe's `background`.
        random: that share.

    Raises:
        BadInput: the background is no colour.
    """

    def __init__(self, spec: Spec, random: Schedule | float) -> None:
        super().__init__()
        color = _color(spec)
        if color is not None and (len(color) != 3 or not all(0 <= value <= 1 for value in color)):  # noqa: PLR2004
            raise BadInput(f"background is {spec}", remedy="give [red, green, blue], each from 0 to 1")
        self.spec, self.random = spec, Schedule.of(random)

    @property
    def varies(self) -> bool:
        """Whether any step may have a random colour."""
        return any(share > 0 for _, share in self.random.knots)

    def bind(self, stage: Stage, space: Space, channels: int) -> None:
        """Make it, of colours or of latents. Raises Unsupported where nobody can encode a colour."""
        stream = rng.generator(stage.seed, stage.name, "background")
        self._stage = stage
        self.behind = make_background(self.spec, space, channels, stage, stream)

    def forward(
        self, cameras: Cameras, directions: Float[Tensor, "views height width 3"], step: Step
    ) -> Float[Tensor, "views height width channels"]:
        """The picture of the background of this step."""
        behind = self._random_color(step) if self.varies and self._stage.varies(cameras) else None
        picture: Tensor = (behind or self.behind)(cameras, directions)
        return picture

    def _random_color(self, step: Step) -> Background | None:
        chance, *color = torch.rand(4, generator=step.rng("background"))  # where nobody waits for a device to know it
        return Solid(sent(torch.stack(color), step.device)) if chance < self.random(step.index, step.total) else None


def make_background(spec: Spec, space: Space, channels: int, stage: Stage, stream: torch.Generator) -> Background:
    """What a recipe's `background` says, with learnt ones as `stream` starts them. Raises Unsupported."""
    if spec == "texture":
        texture = torch.randn(channels, _TEXELS, _TEXELS, generator=stream)
        return Texture(texture.to(stage.device), space)
    if spec == "network":
        shapes = [(after, before) for before, after in pairwise([*_WIDTHS, channels])]
        start = [(2 * torch.rand(shape, generator=stream) - 1) * (6 / shape[1]) ** 0.5 for shape in shapes]  # He 2015
        return Network([weight.to(stage.device) for weight in start], space)
    solid = torch.tensor(_color(spec), device=stage.device)
    return Solid(solid) if space == "rgb" else Screen(_encoded(solid, channels, stage))


def _color(spec: Spec) -> list[float] | None:
    """The colour; None where it is learnt."""
    return spec if isinstance(spec, list) else _SOLIDS.get(spec)


@torch.no_grad()
def _encoded(color: Float[Tensor, "3"], channels: int, stage: Stage) -> Float[Tensor, "channels height width"]:
    """What the prior makes of a plain picture."""
    priors = [getattr(guidance, "prior", None) for guidance in stage.guidance.values()]
    prior = next((prior for prior in priors if isinstance(prior, Prior)), None)
    if prior is None:
        raise Unsupported(
            "the field holds latents, and no guidance has a prior that could encode a background",
            place="renderer.background",
            remedy="set renderer.background=texture, or representation.channels=rgb",
        )
    latents = prior.encode(color.expand(1, _SIDE, _SIDE, 3))[0]
    if len(latents) != channels:
        cause = f"the field has {channels} channels, and the prior's latents have {len(latents)}"
        raise Unsupported(cause, place="representation.channels", remedy=f"set it to {len(latents)}")
    return latents
