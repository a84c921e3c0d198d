"""The volume renderer: emission and absorption along rays through a radiance field."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gen3d import (
    BadInput,
    Cameras,
    RadianceField,
    Renderer,
    Representation,
    Samples,
    Schedule,
    Stage,
    Step,
    Unsupported,
    Views,
)
from gen3d.background import Backdrop, Spec
from gen3d.memory import GIBIBYTE, Memory, Saving, Scene
from gen3d.shading import Diffuse, Lamp, Light, Shading
from gen3d_volume.backends import Backend, choose
from gen3d_volume.composite import Packing
from gen3d_volume.drawn import Drawn, ask, gather, join
from gen3d_volume.march import march
from gen3d_volume.normals import NORMALS, analytic_normals
from gen3d_volume.occupancy import MOST_CELLS, Occupancy

COLORLESS = 1e-4
"""Samples of no more weight than this give no colour, only opacity and depth (published SJC)."""


class Volume(Renderer):
    """Emission and absorption (Max 1995) at equal steps through a radiance field, skipping what cannot be seen.

    Samples lie at t_min + i * step, where a ray enters the field's box at t_min; alpha = 1 - exp(-density * step). A
    grid over the box says where one step is too thin to matter and where the light has surely ended; it is renewed
    every few steps while training, and whenever the field has changed without gradients.

    Args:
        step_ratio: step over the field's voxel size.
        background: "white", "black" or [red, green, blue]: for a field of latents, what the prior makes of such a
            picture; learnt by the direction, group `background`: "texture", 4 x 4 on the sphere, or "network".
        background_depth: distance at which depth counts the background, world units.
        random_background: share of the training steps that are drawn over one random colour instead; the input view
            never is, since it is compared with a picture over white.
        normals: of the density by "finite" differences over a voxel, or "analytic" by its gradient.
        shading: share of the training steps that are lit by a lamp near the camera, such as {0: 0, 1000: 0.75}; not
            the input view. The colours of the field are their albedo.
        textureless: share of those that show white surfaces.
        ambient: light that is everywhere, where it is lit.
        diffuse: light of the lamp; random: a share drawn each step, of which the rest is everywhere (Magic3D).
        lamp: where it is: "beside" the camera (DreamFusion), or in a "cone" of 60 degrees around it (Magic3D).
        occupancy: cells of the grid along the box's side at most; it has one a voxel otherwise.
        skip_below: opacity of a step that is not worth a sample; 0: only what is exactly empty is skipped.
        stop_at: share of light left at which a ray may end; 0: none ends early.
        refresh_every: training steps between looks at the whole field.
        chunk: rays that are drawn at a time.
        recompute: whether what a gradient needs is drawn a second time, chunk by chunk, rather than kept.
        backend: what composites: "torch", "triton", "nerfacc", or "auto", which is torch on a CPU, and on CUDA the
            first of triton, nerfacc and torch that works.
    """

    draws: ClassVar[type[Any]] = RadianceField
    offers: ClassVar[frozenset[str]] = frozenset({"image", "alpha", "depth", "normal", "samples"})
    savings: ClassVar[tuple[Saving, ...]] = (
        Saving("recompute", value=True),
        Saving("chunk", 16384),
        Saving("chunk", 4096, cost=2),
    )
    buffers_to_checkpoint: ClassVar[tuple[str, ...]] = ("occupancy.floor", "occupancy.near", "occupancy.bounds")

    def __init__(
        self,
        step_ratio: float = 0.5,
        background: Spec = "white",
        background_depth: float = 10.0,
        random_background: Schedule | float = 0.0,
        normals: Literal["finite", "analytic"] = "finite",
        shading: Schedule | float = 0.0,
        textureless: float = 0.5,
        ambient: float = 0.1,
        diffuse: Diffuse = 0.9,
        lamp: Lamp = "beside",
        occupancy: int = MOST_CELLS,
        skip_below: float = 1e-4,
        stop_at: float = 1e-4,
        refresh_every: int = 16,
        chunk: int = 65536,
        recompute: bool = False,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        for name, value in (("step_ratio", step_ratio), ("refresh_every", refresh_every), ("chunk", chunk)):
            if value <= 0:
                raise BadInput(f"{name} is {value}", remedy="it is more than 0")
        if not 1 <= occupancy <= MOST_CELLS:
            raise BadInput(f"occupancy is {occupancy}", remedy=f"it is from 1 to {MOST_CELLS}")
        self.step_ratio, self.background_depth, self.normals = step_ratio, background_depth, normals
        self.backdrop = Backdrop(background, random_background)
        self.shading = Shading(shading, textureless, ambient, diffuse, lamp)
        self.cells, self.skip_below, self.stop_at = occupancy, skip_below, stop_at
        self.refresh_every, self.chunk, self.recompute = refresh_every, chunk, recompute
        self.backend = backend
        self._due = True
        self._examined: tuple[object, Occupancy] | None = None

    def bind(self, stage: Stage) -> None:
        """Make the background, and choose what composites.

        Raises Unsupported where the field is none for what the recipe asks, Unavailable where the backend is not here.
        """
        field = cast("RadianceField", stage.representation)
        if field.space != "rgb" and (self.shading.possible or self.backdrop.varies):
            cause = "random_background and shading are about colours, and the field holds latents"
            raise Unsupported(cause, place="renderer", remedy="set both to 0, or representation.channels=rgb")
        if self.normals == "analytic":
            analytic_normals(field, field.box.mean(0, keepdim=True))  # refuses here, before the first step
        self.compositing = choose(self.backend, stage.device)
        if not self.compositing.expected:
            stage.warn(f"compositing is slower than it could be: {self.compositing.why}")
        self._stage = stage
        self.backdrop.bind(stage, field.space, field.channels)
        self.occupancy = Occupancy(field, self.cells)
        self._due, self._examined = True, None

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`background`, where it is learnt."""
        learnt = list(self.backdrop.parameters())
        return {"background": learnt} if learnt else {}

    def trained_state(self) -> dict[str, Tensor]:
        """The background, and what is known of the field, with whether it is time to look at that anew."""
        return {**super().trained_state(), "due": torch.tensor(self._due)}

    def load_trained_state(self, state: dict[str, Tensor]) -> None:
        """Put a checkpoint's tensors back: what it knows of the field is as old as it was."""
        super().load_trained_state(state)
        self._due = bool(state["due"])

    def at(self, step: Step) -> None:
        """Every `refresh_every` steps the field is looked at anew, or when it is drawn again after that."""
        self._due = self._due or step.index % self.refresh_every == 0

    def forward(self, representation: Representation, cameras: Cameras, step: Step, outputs: frozenset[str]) -> Views:
        """Draw the object."""
        field = cast("RadianceField", representation)
        occupancy = self._occupied(representation)
        origins, directions = cameras.rays()
        lit = self.shading.possible and self._stage.varies(cameras)
        light = self.shading.light(cameras, step) if lit else None
        rays = [origins, directions] if light is None else [origins, directions, light.at_each_ray_of(cameras)]
        flat = [values.flatten(0, 2).T.float().contiguous() for values in rays]
        chunks = zip(*(torch.split(values, self.chunk, dim=1) for values in flat), strict=True)
        draw: Callable[..., Drawn] = self._draw
        if self.recompute and torch.is_grad_enabled():
            draw = partial(checkpoint, self._draw, use_reentrant=False, preserve_rng_state=False)
        drawn = join([draw(field, chunk, light, occupancy, outputs) for chunk in chunks])
        shape = (len(cameras), cameras.height, cameras.width, -1)
        left = drawn.left.view(shape)
        return Views(
            cameras=cameras,
            image=drawn.light.view(shape) + left * self.backdrop(cameras, directions.float(), step),
            space=field.space,
            alpha=1 - left,
            depth=drawn.depth.view(shape),
            normal=None if drawn.normal is None else drawn.normal.view(shape),
            samples=drawn.samples if "samples" in outputs else None,
        )

    def memory(self, scene: Scene) -> Memory:
        """What it keeps for a gradient, as if half of the box were full."""
        field, rays = cast("RadianceField", scene.field), scene.views * scene.side**2
        along = 0.5 * (field.box[1] - field.box[0]).amax().item() / (self.step_ratio * field.voxel_size)
        kept = min(self.chunk, rays) if self.recompute else rays
        return Memory(step=kept * along * getattr(field, "sample_bytes", 1000) / GIBIBYTE)

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
            occupancy = Occupancy(field, self.cells)
            occupancy.survey(field, step, self.skip_below)
            self._examined = (state, occupancy)
        return self._examined[1]

    def _draw(
        self,
        field: RadianceField,
        rays: tuple[Float[Tensor, "3 rays"], ...],
        light: Light | None,
        occupancy: Occupancy,
        outputs: frozenset[str],
    ) -> Drawn:
        origins, directions, *lamps = rays
        step = self.step_ratio * field.voxel_size
        steps = march(origins, directions, field.box, occupancy, step, self.stop_at)
        packing = Packing.of(steps.rays, origins.shape[1])
        along = gather(directions, steps.rays)
        points = gather(origins, steps.rays).addcmul_(along, steps.distances)
        weight, left = self.compositing.weights(ask(field.density, points) * step, packing)
        visible = (weight > COLORLESS).nonzero().squeeze(1)
        seen, shown = gather(points, visible), weight.index_select(0, visible)
        onto = Packing.of(steps.rays.index_select(0, visible), origins.shape[1])
        composite = self.compositing.composite
        colors, normal, normals = ask(field.features, seen, field.channels), None, None
        if light is not None or "normal" in outputs:
            outward = ask(partial(NORMALS[self.normals], field), seen, 3)
            if light is not None:
                colors = light.shade(colors, outward, (gather(lamps[0], onto.rays) - seen).T)
            if "normal" in outputs:
                normal = composite(outward, shown, onto)
                normals = weight.new_zeros(len(weight), 3).index_copy(0, visible, outward)
        depth = composite(steps.distances[:, None], weight, packing)[:, 0] + left * self.background_depth
        samples = Samples(weight, steps.rays, steps.distances, along.T, normals, origins.shape[1], steps.slots)
        return Drawn(composite(colors, shown, onto), left[:, None], depth[:, None], normal, samples)
