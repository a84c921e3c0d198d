"""Small parts that are quick and whole: a soft ball, a renderer of a few lines, a picture of the ball, a stage."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d.cameras import Cameras
from gen3d.guidance import Guidance
from gen3d.inputs import Inputs
from gen3d.part import Stage, Step
from gen3d.picture import Picture
from gen3d.renderer import Renderer
from gen3d.representation import RadianceField, Representation
from gen3d.views import Samples, Space, Views

_FOV = math.radians(49.1)
_DISTANCE = 1.4
_FAR = 3.0


class ToyField(Representation):
    """A soft ball of one colour: density = 40 sigmoid((radius - |x|) / 0.02) in the unit box.

    Args:
        radius: of the ball, world units.
        color: sRGB, or a latent, one number a channel.
        space: what the colour is.
    """

    voxel_size = 0.05

    def __init__(self, radius: float = 0.3, color: tuple[float, ...] = (0.8, 0.3, 0.1), space: Space = "rgb") -> None:
        super().__init__()
        self.radius = nn.Parameter(torch.tensor(radius))
        self.color = nn.Parameter(torch.tensor(color))
        self.space, self.channels = space, len(color)
        self.register_buffer("corners", torch.tensor([[-0.5] * 3, [0.5] * 3]))

    @property
    def box(self) -> Float[Tensor, "2 3"]:
        """The unit cube around the origin."""
        return self.get_buffer("corners")

    def density(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, " points"]:
        """Per unit of length."""
        inside = (points.abs() <= 0.5).all(dim=-1)  # noqa: PLR2004 (the box)
        # The floor keeps the gradient of the norm finite at the centre.
        distance = points.square().sum(dim=-1).clamp_min(1e-12).sqrt()
        return inside * 40 * torch.sigmoid((self.radius - distance) / 0.02)

    def features(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points channels"]:
        """The one colour."""
        return self.color.expand(len(points), -1)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """Both of its parameters."""
        return {"radius": [self.radius], "color": [self.color]}


class ToyRenderer(Renderer):
    """Every ray at `samples` equally spaced points, over a background of one number, 3 away."""

    draws = RadianceField
    offers = frozenset({"image", "alpha", "depth", "normal", "samples"})

    def __init__(self, samples: int = 24, background: float = 1.0) -> None:
        super().__init__()
        self.samples, self.background = samples, background

    def forward(self, representation: Representation, cameras: Cameras, step: Step, outputs: frozenset[str]) -> Views:
        """Draw a radiance field; normals and samples where `outputs` names them."""
        if not isinstance(representation, RadianceField):
            msg = f"{type(representation).__name__} is no RadianceField"
            raise TypeError(msg)
        origins, directions = cameras.rays()
        shape = origins.shape[:3]
        # sqrt(0.75): half the diagonal of the unit box, which every ray to the object crosses within.
        offsets = torch.linspace(-(0.75**0.5), 0.75**0.5, self.samples + 1).to(origins)
        middle = (offsets[1:] + offsets[:-1]) / 2 + cameras.radius[:, None, None, None]
        distances = middle.expand(*shape, -1)
        points = origins[..., None, :] + distances[..., None] * directions[..., None, :]
        flat = points.reshape(-1, 3)
        alphas = 1 - torch.exp(-representation.density(flat) * (offsets[1] - offsets[0])).reshape(distances.shape)
        clear = torch.cumprod(torch.cat([torch.ones_like(alphas[..., :1]), 1 - alphas[..., :-1]], dim=-1), dim=-1)
        weights = alphas * clear
        features = representation.features(flat).reshape(*distances.shape, -1)
        alpha = weights.sum(dim=-1, keepdim=True)
        image = (weights[..., None] * features).sum(dim=-2) + (1 - alpha) * self.background
        depth = (weights * distances).sum(dim=-1, keepdim=True) + (1 - alpha) * _FAR
        views = Views(cameras, image, representation.space, alpha, depth)
        normals = _normals(representation, flat) if "normal" in outputs else None
        if normals is not None:
            views = replace(views, normal=(weights[..., None] * normals.reshape(points.shape)).sum(dim=-2))
        if "samples" in outputs:
            views = replace(views, samples=_packed(weights, distances, directions, normals))
        return views


def _normals(field: RadianceField, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points 3"]:
    with torch.enable_grad():
        inputs = points.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(field.density(inputs).sum(), inputs, create_graph=True)
    return -torch.nn.functional.normalize(gradient, dim=-1)


def _packed(
    weights: Float[Tensor, "views height width slots"],
    distances: Float[Tensor, "views height width slots"],
    directions: Float[Tensor, "views height width 3"],
    normals: Float[Tensor, "samples 3"] | None,
) -> Samples:
    slots = weights.shape[-1]
    count = weights.numel() // slots
    rays = torch.arange(count, device=weights.device).repeat_interleave(slots)
    along = directions.reshape(-1, 3)[rays]
    return Samples(weights.flatten(), rays, distances.reshape(-1), along, normals, count, slots)


class ToyInputs(Inputs):
    """A picture of a smaller blue ball, taken from 10 degrees above the horizon, in place of a file."""

    def __init__(self, size: int = 16) -> None:
        super().__init__(image="ball", prompt="a ball", elevation_deg=10.0, radius=_DISTANCE)
        field, camera = ToyField(radius=0.25, color=(0.1, 0.3, 0.9)), toy_cameras(1, size)
        with torch.no_grad():
            views = ToyRenderer()(field, camera, Step(0, 1), frozenset({"image"}))
        self._picture = Picture(views.image[0], views.alpha[0].clamp(0, 1))


def toy_cameras(count: int = 1, size: int = 8) -> Cameras:
    """Cameras all around, 10 degrees above the horizon, the first on azimuth 0."""
    azimuth = torch.arange(count) * (2 * math.pi / count)
    return Cameras.orbit(azimuth, math.radians(10), _DISTANCE, _FOV, size)


def toy_stage(guidance: dict[str, Guidance], *, space: Space = "rgb", size: int = 8, steps: int = 10) -> Stage:
    """A stage around the ball, with a picture and a prompt; each guidance is named and bound to it.

    Args:
        guidance: the terms by name.
        space: what the ball's three channels mean.
        size: pixels of the reference camera.
        steps: of the stage.
    """
    inputs = ToyInputs(size)
    stage = Stage(
        name="toy",
        steps=steps,
        seed=0,
        device=torch.device("cpu"),
        inputs=inputs,
        reference=inputs.reference(size),
        representation=ToyField(space=space),
        renderer=ToyRenderer(),
        guidance=guidance,
    )
    for name, part in guidance.items():
        part.name = f"guidance.{name}"
        part.bind(stage)
    return stage
