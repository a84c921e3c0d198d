"""The volume renderer: emission and absorption along rays through a radiance field."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar, Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gen3d import BadInput, Cameras, RadianceField, Renderer, Representation, Samples, Stage, Step, Unsupported, Views
from gen3d_volume.background import Background, Solid, make_background
from gen3d_volume.composite import Packing, sum_along_rays, weights
from gen3d_volume.march import march
from gen3d_volume.occupancy import Occupancy

COLORLESS = 1e-4
"""Samples of no more weight than this give no colour, only opacity and depth (published SJC)."""
_FLAT = 0.01  # change of density over a voxel, relative to it, that makes no normal
_THIN = 1e-12  # square of a density that is nothing at all


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a batch of rays sees.

    Args:
        light: colour or latents, without the background.
        left: share of the background.
        depth: expected distance, the background counted.
        normal: composited over 0.
        samples: what it was composited from.
    """

    light: Float[Tensor, "rays channels"]
    left: Float[Tensor, "rays 1"]
    depth: Float[Tensor, "rays 1"]
    normal: Float[Tensor, "rays 3"] | None
    samples: Samples


class Volume(Renderer):
    """Emission and absorption (Max 1995) at equal steps through a radiance field, skipping what cannot be seen.

    Samples lie at t_min + i * step, where a ray enters the field's box at t_min; alpha = 1 - exp(-density * step). A
    grid over the box says where one step is too thin to matter and where the light has surely ended; it is renewed
    every few steps while training, and whenever the field has changed without gradients.

    Args:
        step_ratio: step over the field's voxel size.
        background: "white", "black" or [red, green, blue]: for a field of latents, what the prior makes of such a
            picture; "texture": a learnable 4 x 4 texture on the sphere of directions, group `background`.
        background_depth: distance at which depth counts the background, world units.
        random_background: share of the training steps that are drawn over one random colour instead.
        skip_below: opacity of a step that is not worth a sample; 0: only what is exactly empty is skipped.
        stop_at: share of light left at which a ray may end; 0: none ends early.
        refresh_every: training steps between looks at the whole field.
        chunk: rays that are drawn at a time.
    """

    draws: ClassVar[type[Any]] = RadianceField
    offers: ClassVar[frozenset[str]] = frozenset({"image", "alpha", "depth", "normal", "samples"})
    buffers_to_checkpoint: ClassVar[tuple[str, ...]] = ("occupancy.floor", "occupancy.near", "occupancy.bounds")

    def __init__(
        self,
        step_ratio: float = 0.5,
        background: Literal["white", "black", "texture"] | list[float] = "white",
        background_depth: float = 10.0,
        random_background: float = 0.0,
        skip_below: float = 1e-4,
        stop_at: float = 1e-4,
        refresh_every: int = 16,
        chunk: int = 65536,
    ) -> None:
        super().__init__()
        for name, value in (("step_ratio", step_ratio), ("refresh_every", refresh_every), ("chunk", chunk)):
            if value <= 0:
                raise BadInput(f"{name} is {value}", remedy="it is more than 0")
        self.step_ratio, self.background, self.background_depth = step_ratio, background, background_depth
        self.random_background, self.skip_below, self.stop_at = random_background, skip_below, stop_at
        self.refresh_every, self.chunk = refresh_every, chunk
        self._due = True
        self._examined: tuple[object, Occupancy] | None = None

    def bind(self, stage: Stage) -> None:
        """Make the background. Raises Unsupported where it would need a prior, and none of the guidances has one."""
        field = cast("RadianceField", stage.representation)
        if self.random_background and field.space != "rgb":
            raise Unsupported("random_background is a colour, and the field holds latents", place="renderer")
        self.behind: Background = make_background(self.background, field, stage)
        self.occupancy = Occupancy(field)
        self._due, self._examined = True, None

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`background`, where it is a texture."""
        learnt = list(self.behind.parameters())
        return {"background": learnt} if learnt else {}

    def at(self, step: Step) -> None:
        """Every `refresh_every` steps the field is looked at anew."""
        self._due = step.index % self.refresh_every == 0

    def forward(self, representation: Representation, cameras: Cameras, step: Step, outputs: frozenset[str]) -> Views:
        """Draw the object."""
        field = cast("RadianceField", representation)
        occupancy = self._occupied(representation)
        origins, directions = cameras.rays()
        flat = [rays.flatten(0, 2).T.float().contiguous() for rays in (origins, directions)]
        chunks = zip(*(torch.split(rays, self.chunk, dim=1) for rays in flat), strict=True)
        drawn = _joined([self._draw(field, o, d, occupancy, outputs) for o, d in chunks])
        shape = (len(cameras), cameras.height, cameras.width, -1)
        left = drawn.left.view(shape)
        behind = self._background(step)(cameras, directions.float())
        return Views(
            cameras=cameras,
            image=drawn.light.view(shape) + left * behind,
            space=field.space,
            alpha=1 - left,
            depth=drawn.depth.view(shape),
            normal=None if drawn.normal is None else drawn.normal.view(shape),
            samples=drawn.samples if "samples" in outputs else None,
        )

    def _occupied(self, representation: Representation) -> Occupancy:
        """The occupancy, renewed: of training at its own pace, so that looking at the object does not change it."""
        field = cast("RadianceField", representation)
        step = self.step_ratio * field.voxel_size
        if torch.is_grad_enabled():
            if self._due:
                self.occupancy.survey(field, step, self.skip_below)
                self._due = False
            return self.occupancy
        state = (id(representation), *(p._version for p in representation.parameters()))  # noqa: SLF001 (its one name)
        if self._examined is None or self._examined[0] != state:
            occupancy = Occupancy(field)
            occupancy.survey(field, step, self.skip_below)
            self._examined = (state, occupancy)
        return self._examined[1]

    def _background(self, step: Step) -> Background:
        """The background, or now and then while training, one random colour."""
        if self.random_background and torch.is_grad_enabled():
            chance, *color = step.rand("volume.background", 4)
            if chance < self.random_background:
                return Solid(torch.stack(color))
        return self.behind

    def _draw(
        self,
        field: RadianceField,
        origins: Float[Tensor, "3 rays"],
        directions: Float[Tensor, "3 rays"],
        occupancy: Occupancy,
        outputs: frozenset[str],
    ) -> Drawn:
        step = self.step_ratio * field.voxel_size
        steps = march(origins, directions, field.box, occupancy, step, self.stop_at)
        packing = Packing.of(steps.rays, origins.shape[1])
        along = _gather(directions, steps.rays)
        points = _gather(origins, steps.rays).addcmul_(along, steps.distances)
        weight, left = weights(_ask(field.density, points) * step, packing)
        visible = (weight > COLORLESS).nonzero().squeeze(1)
        seen, shown = _gather(points, visible), weight.index_select(0, visible)
        onto = Packing.of(steps.rays.index_select(0, visible), origins.shape[1])
        light = _composite(_ask(field.features, seen, field.channels), shown, onto)
        depth = sum_along_rays(weight * steps.distances, packing) + left * self.background_depth
        normal, normals = None, None
        if "normal" in outputs:
            outward = _ask(lambda asked: normals_of(field, asked), seen, 3)
            normal = _composite(outward, shown, onto)
            normals = weight.new_zeros(len(weight), 3).index_copy(0, visible, outward)
        samples = Samples(weight, steps.rays, steps.distances, along.T, normals, origins.shape[1], steps.slots)
        return Drawn(light, left[:, None], depth[:, None], normal, samples)


def normals_of(field: RadianceField, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points 3"]:
    """Unit normals of the density, outwards: where it falls over a voxel, differentiable.

    Differences between the corners of a tetrahedron around each point give the gradient from four queries. Where they
    are under a hundredth of the density itself, as deep inside, the normal fades to 0: its direction is noise there.
    """
    corners = points.new_tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    around = (points.T[:, None] + field.voxel_size * corners.T[:, :, None]).flatten(1)
    density = field.density(around.T).view(4, -1)
    falling = -(corners.T @ density).T
    doubt = (_FLAT * density.detach().sum(0)).square() + _THIN
    return falling / (falling.square().sum(1) + doubt).sqrt()[:, None]


def _ask(query: Callable[[Tensor], Tensor], points: Float[Tensor, "3 points"], *channels: int) -> Tensor:
    """What a field says about points, without disturbing it for none."""
    return query(points.T) if points.shape[1] else points.new_zeros(0, *channels)


def _gather(columns: Float[Tensor, "axes rays"], index: Int[Tensor, " samples"]) -> Float[Tensor, "axes samples"]:
    """columns[:, index]; row by row it is several times faster on a CPU."""
    return torch.stack([row.index_select(0, index) for row in columns])


def _composite(
    values: Float[Tensor, "samples channels"], weight: Float[Tensor, " samples"], packing: Packing
) -> Float[Tensor, "rays channels"]:
    return torch.stack([sum_along_rays(weight * value, packing) for value in values.unbind(1)], dim=-1)


def _joined(parts: list[Drawn]) -> Drawn:
    """The chunks of rays as one."""
    if len(parts) == 1:
        return parts[0]
    light, left, depth = (torch.cat([getattr(part, name) for part in parts]) for name in ("light", "left", "depth"))
    normal = None if parts[0].normal is None else torch.cat([cast("Tensor", part.normal) for part in parts])
    return Drawn(light, left, depth, normal, joined([part.samples for part in parts]))


def joined(parts: list[Samples]) -> Samples:
    """Samples of consecutive rays as one."""
    fields = ("weights", "distances", "directions")
    values = {name: torch.cat([getattr(part, name) for part in parts]) for name in fields}
    normals = None if parts[0].normals is None else torch.cat([cast("Tensor", part.normals) for part in parts])
    before = list(accumulate((part.ray_count for part in parts), initial=0))
    rays = torch.cat([part.rays + offset for part, offset in zip(parts, before, strict=False)])
    return Samples(rays=rays, normals=normals, ray_count=before[-1], slots=max(part.slots for part in parts), **values)
