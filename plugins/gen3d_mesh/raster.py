"""The renderer `raster`: triangles with silhouette gradients."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from gen3d import Cameras, Renderer, Representation, Schedule, Stage, Step, Surface, Triangles, Views
from gen3d.background import Backdrop, Spec
from gen3d.shading import Diffuse, Lamp, Shading
from gen3d_mesh.backends import Backend, choose
from gen3d_mesh.screen import Screen, project
from gen3d_mesh.silhouette import antialias
from gen3d_mesh.topology import edges_of, vertex_normals


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
        background: "white", "black" or [red, green, blue]; learnt by the direction, group `background`: "texture",
            4 x 4 on the sphere, or "network".
        background_depth: distance at which depth counts the background, world units.
        random_background: share of the training steps that are drawn over one random colour instead; not the input
            view.
        shading: share of the training steps that are lit by a lamp near the camera; not the input view.
        textureless: share of those that show white surfaces.
        ambient: light that is everywhere, where it is lit.
        diffuse: light of the lamp; random: a share drawn each step, of which the rest is everywhere (Magic3D).
        lamp: where it is: "beside" the camera (DreamFusion), or in a "cone" of 60 degrees around it (Magic3D).
        backend: what finds the face that each pixel sees: "torch", "pytorch3d", or "auto", which is pytorch3d on CUDA
            where it is installed.

    Raises:
        BadInput: the background is no colour, or a share of light is none.
        Unavailable: the backend is not installed.
    """

    draws: ClassVar[type[Any]] = Surface
    offers: ClassVar[frozenset[str]] = frozenset({"image", "alpha", "depth", "normal"})
    _stage: Stage

    def __init__(
        self,
        background: Spec = "white",
        background_depth: float = 10.0,
        random_background: Schedule | float = 0.0,
        shading: Schedule | float = 0.0,
        textureless: float = 0.5,
        ambient: float = 0.1,
        diffuse: Diffuse = 0.9,
        lamp: Lamp = "beside",
        backend: Literal["auto", "torch", "pytorch3d"] = "auto",
    ) -> None:
        super().__init__()
        self.backdrop, self.background_depth = Backdrop(background, random_background), background_depth
        self.shading = Shading(shading, textureless, ambient, diffuse, lamp)
        self.backend: Backend = choose(backend)

    def bind(self, stage: Stage) -> None:
        """Make the background."""
        self._stage = stage
        self.backdrop.bind(stage, "rgb", 3)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`background`, where it is learnt."""
        learnt = list(self.backdrop.parameters())
        return {"background": learnt} if learnt else {}

    def forward(self, representation: Representation, cameras: Cameras, step: Step, outputs: frozenset[str]) -> Views:
        """Draw the surface. Raises Degenerate where there is none."""
        surface = cast("Surface", representation)
        mesh = surface.triangles()
        screen = project(mesh.vertices, mesh.faces, cameras)
        seen = fragments(screen, self.backend(screen))
        layers = self._layers(surface, mesh, seen, cameras, step, outputs)
        picture = torch.cat(layers, dim=1)
        picture = picture.new_zeros(screen.pixels, picture.shape[1]).index_copy(0, seen.pixels, picture)
        closeness = picture.new_zeros(screen.pixels).index_copy(0, seen.pixels, seen.closeness.detach())
        picture = antialias(picture, closeness, screen, edges_of(mesh.faces, len(mesh.vertices)))
        color, alpha, depth, *normal = picture.view(len(cameras), screen.height, screen.width, -1).split(
            [3, 1, 1, 3][: len(layers)], dim=-1
        )
        return Views(
            cameras=cameras,
            image=color + (1 - alpha) * self.backdrop(cameras, cameras.rays()[1].to(alpha), step),
            space="rgb",
            alpha=alpha,
            depth=depth + (1 - alpha) * self.background_depth,
            normal=normal[0] if normal else None,
        )

    def _layers(
        self,
        surface: Surface,
        mesh: Triangles,
        seen: Fragments,
        cameras: Cameras,
        step: Step,
        outputs: frozenset[str],
    ) -> list[Float[Tensor, "fragments channels"]]:
        """What is seen at each fragment: colour, 1, distance and, where somebody asked for it, the normal."""
        points = seen.interpolate(mesh.vertices)
        views = seen.pixels // (cameras.height * cameras.width)
        colors = surface.texture(points) if len(points) else points
        distances = (points - cameras.position.to(points)[views]).norm(dim=1, keepdim=True)
        lit = self.shading.possible and self._stage.varies(cameras)
        light = self.shading.light(cameras, step) if lit else None
        if light is None and "normal" not in outputs:
            return [colors, torch.ones_like(distances), distances]
        normals = normalize(seen.interpolate(vertex_normals(mesh)), dim=1)
        if light is not None:
            colors = light.shade(colors, normals, light.position[views] - points)
        layers = [colors, torch.ones_like(distances), distances, normals]
        return layers if "normal" in outputs else layers[:3]


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
