"""The renderer `raster`: triangles with silhouette gradients."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d import BadInput, Cameras, Renderer, Representation, Schedule, Stage, Step, Surface, Views
from gen3d_mesh.backends import Backend, choose
from gen3d_mesh.screen import Screen, project
from gen3d_mesh.silhouette import antialias
from gen3d_mesh.topology import edges_of, vertex_normals

_SOLIDS = {"white": [1.0, 1.0, 1.0], "black": [0.0, 0.0, 0.0]}


@dataclass(frozen=True, eq=False)
class Fragments:
    """What the pixels see that see something.

    Args:
        pixels: their numbers, rising.
        vertices: indices of the corners of the face that each sees.
        weights: perspective-correct barycentric weights of those, differentiable.
        closeness: 1 / distance along the view's axis.
    """

    pixels: Int[Tensor, " fragments"]
    vertices: Int[Tensor, "fragments 3"]
    weights: Float[Tensor, "fragments 3"]
    closeness: Float[Tensor, " fragments"]

    def interpolate(self, values: Float[Tensor, "vertices channels"]) -> Float[Tensor, "fragments channels"]:
        """Values of vertices at the points that are seen."""
        corners = values.index_select(0, self.vertices.flatten()).view(*self.vertices.shape, values.shape[1])
        return (self.weights[..., None] * corners).sum(1)


class Raster(Renderer):
    """Opaque triangles, seen from outside; normals are smooth, silhouettes antialiased and differentiable.

    Args:
        background: "white", "black" or [red, green, blue].
        background_depth: distance at which depth counts the background, world units.
        random_background: share of the training steps that are drawn over one random colour instead; not the input
            view.
        backend: what finds the face that each pixel sees: "torch", "pytorch3d", or "auto", which is pytorch3d on CUDA
            where it is installed.

    Raises:
        BadInput: the background is no colour.
        Unavailable: the backend is not installed.
    """

    draws: ClassVar[type[Any]] = Surface
    offers: ClassVar[frozenset[str]] = frozenset({"image", "alpha", "depth", "normal"})
    color: Tensor
    _stage: Stage

    def __init__(
        self,
        background: Literal["white", "black"] | list[float] = "white",
        background_depth: float = 10.0,
        random_background: Schedule | float = 0.0,
        backend: Literal["auto", "torch", "pytorch3d"] = "auto",
    ) -> None:
        super().__init__()
        color = _SOLIDS[background] if isinstance(background, str) else background
        if len(color) != 3 or not all(0 <= value <= 1 for value in color):  # noqa: PLR2004 (red, green, blue)
            raise BadInput(f"background is {background}", remedy="give [red, green, blue], each from 0 to 1")
        self.register_buffer("color", torch.tensor(color), persistent=False)
        self.background_depth, self.random_background = background_depth, Schedule.of(random_background)
        self.backend: Backend = choose(backend)

    def bind(self, stage: Stage) -> None:
        """Remember which view is the input picture's."""
        self._stage = stage

    def forward(self, representation: Representation, cameras: Cameras, step: Step, outputs: frozenset[str]) -> Views:
        """Draw the surface. Raises Degenerate where there is none."""
        surface = cast("Surface", representation)
        mesh = surface.triangles()
        screen = project(mesh.vertices, mesh.faces, cameras)
        seen = fragments(screen, self.backend(screen))
        points = seen.interpolate(mesh.vertices)
        eyes = cameras.position.to(points)[seen.pixels // (screen.height * screen.width)]
        colors = surface.texture(points) if len(points) else points
        layers = [colors, torch.ones_like(points[:, :1]), (points - eyes).norm(dim=1, keepdim=True)]
        if "normal" in outputs:
            layers.append(torch.nn.functional.normalize(seen.interpolate(vertex_normals(mesh)), dim=1))
        picture = torch.cat(layers, dim=1)
        picture = picture.new_zeros(screen.pixels, picture.shape[1]).index_copy(0, seen.pixels, picture)
        closeness = picture.new_zeros(screen.pixels).index_copy(0, seen.pixels, seen.closeness.detach())
        picture = antialias(picture, closeness, screen, edges_of(mesh.faces, len(mesh.vertices)))
        color, alpha, depth, *normal = picture.view(len(cameras), screen.height, screen.width, -1).split(
            [3, 1, 1, 3][: len(layers)], dim=-1
        )
        return Views(
            cameras=cameras,
            image=color + (1 - alpha) * self._background(cameras, step),
            space="rgb",
            alpha=alpha,
            depth=depth + (1 - alpha) * self.background_depth,
            normal=normal[0] if normal else None,
        )

    def _background(self, cameras: Cameras, step: Step) -> Float[Tensor, "3"]:
        """Its colour; now and then while training, a random one."""
        share = self.random_background(step.index, step.total)
        if share and torch.is_grad_enabled() and not self._stage.is_reference(cameras):
            chance, *color = step.rand("raster.background", 4)
            if chance < share:
                return torch.stack(color)
        return self.color


def fragments(screen: Screen, owners: Int[Tensor, " pixels"]) -> Fragments:
    """What the pixels see, from the face that each of them sees."""
    pixels = (owners >= 0).nonzero().squeeze(1)
    owners = owners[pixels]
    corners = screen.corners(owners)
    centers = torch.stack([pixels % screen.width, pixels // screen.width % screen.height], dim=1) + 0.5
    x, y = (corners[..., :2] - centers[:, None]).unbind(-1)
    areas = x.roll(-1, 1) * y.roll(-2, 1) - x.roll(-2, 1) * y.roll(-1, 1)
    shares = areas / corners[..., 2]
    closeness = shares.sum(1) / areas.sum(1)
    return Fragments(pixels, screen.faces[owners % len(screen.faces)], shares / shares.sum(1, keepdim=True), closeness)
