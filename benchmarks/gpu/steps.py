"""Whole steps of the loop, by gen3d's guidance or by a published one: recipes' parts around random weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import torch
from torch import Tensor

from benchmarks.gpu import networks, published
from gen3d.camera_sampler import CameraSampler
from gen3d.graphs import Graphs
from gen3d.guidance import Guidance
from gen3d.inputs import Inputs
from gen3d.part import Stage
from gen3d.representation import Representation
from gen3d.run import Run, optimise
from gen3d.schedule import Schedule
from gen3d.stage import StageParts
from gen3d_distill.distill import Distill
from gen3d_distill.sds import SDS
from gen3d_distill.sjc import SJC
from gen3d_distill.vsd import VSD
from gen3d_nerf.hash_grid import HashGrid
from gen3d_optimizers.adam import Adam, Adamax, AdamW
from gen3d_reference.reference_view import ReferenceView
from gen3d_stable_diffusion.prior import StableDiffusion
from gen3d_volume.volume import Volume
from gen3d_voxel.voxel import Voxel
from gen3d_zero123.prior import Zero123

Kind = Literal["sds", "sjc", "vsd"]
PICTURE = Path(__file__).parents[2] / "examples" / "barrel.png"
EMPTY, PROMPT = "", "a barrel"
STEPS = 10_000
"""Of the stage, for what is scheduled."""


class _Unwritten(Run):
    """What the loop needs of a run, without a directory and observers."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        nothing = dict.fromkeys(("log", "checkpoint"), lambda *_, **__: None)
        self.files = cast("Any", SimpleNamespace(count=_count, **nothing))
        self.asked_to_stop, self._stopping = lambda: False, False

    def warn(self, message: str) -> None:
        """As the stage does."""
        self.stage.warn(message)

    def notify(self, hook: str, **arguments: object) -> None:
        """Nobody."""


@dataclass
class Bench:
    """A stage that is bound, and goes on step by step.

    Args:
        parts: of the stage.
        stage: what they are bound to.
        ours: whether the guidance is gen3d's.
    """

    parts: StageParts
    stage: Stage
    ours: bool
    done: int = 0
    _run: Any = field(init=False)

    def __post_init__(self) -> None:
        self._run = _Unwritten(self.stage)

    @property
    def guidance(self) -> Any:
        """The diffusion model's."""
        return self.parts.guidance["views"]

    def step(self) -> None:
        """One iteration of the loop itself."""
        self.parts.steps = self.done + 1
        optimise(self._run, self.parts, self.done)
        self.done += 1

    def pieces(self) -> Mapping[str, Callable[[], object]]:
        """The parts of a step of ours, one by one."""
        step, prior, objective = self.stage.step(self.done), self.guidance.prior, self.guidance.objective
        cameras = self.parts.cameras.sample(step)
        views = self._drawn(cameras)
        latents = self.guidance._latents(views).detach()  # noqa: SLF001 (as the guidance makes them)
        condition, noise = prior.condition(cameras), torch.ones_like(latents)
        t = torch.tensor([500], device=self.stage.device)
        picture = views.image.detach().requires_grad_()

        def ask() -> None:
            with torch.no_grad():
                objective.residual(prior, latents, t, prior.condition(cameras), noise, step)

        coded = prior.encode if views.space == "rgb" else lambda image: prior.decode(image.permute(0, 3, 1, 2))
        all_cameras = [cameras] + [
            c for g in self.parts.guidance.values() if g is not self.guidance for c in g.cameras(step, cameras)
        ]
        return {
            "prior": ask,
            "encoder": lambda: torch.autograd.grad(coded(picture).sum(), picture),
            "adapter": lambda: objective.learn(prior, latents, condition, step),
            "renderer": lambda: [self._drawn(each).image.sum().backward() for each in all_cameras],
        }

    def _drawn(self, cameras: Any) -> Any:
        return self.parts.renderer(self.parts.representation, cameras, self.stage.step(self.done), frozenset())


def bench(
    kind: Kind, latent: int, narrow: int, device: torch.device, *, ours: bool, graphs: bool = True, **options: Any
) -> Bench:
    """A stage whose guidance is gen3d's or the published one.

    Args:
        kind: of the objective.
        latent: side of the latents.
        narrow: times fewer channels than published.
        device: where.
        ours: whose guidance.
        graphs: whether ours replays CUDA graphs.
        options: of the published guidance.
    """
    inputs = Inputs(image=str(PICTURE), elevation_deg=15, prompt=PROMPT) if kind == "sjc" else Inputs(prompt=PROMPT)
    inputs.read()
    representation, renderer = _object(kind, narrow), Volume(recompute=ours and kind == "vsd", chunk=16384)
    reference = inputs.reference()
    stage = Stage(
        name="benchmark",
        steps=STEPS,
        seed=0,
        device=device,
        inputs=inputs,
        reference=None if reference is None else reference.to(device),
        representation=representation,
        renderer=renderer,
        guidance={},
    )
    if kind == "sjc":
        stage.guidance = _posed(latent, narrow, stage, ours, graphs, options)
    else:
        stage.guidance = _texted(kind, latent, narrow, stage, ours, graphs, options)
    size = {"sds": min(64, 8 * latent), "sjc": latent, "vsd": 8 * latent}[kind]
    parts = StageParts(
        name=stage.name,
        steps=STEPS,
        source=None,
        cameras=CameraSampler(size=size),
        representation=representation,
        renderer=renderer,
        guidance=stage.guidance,
        weights={name: Schedule.of(10_000 if name == "input" else 1) for name in stage.guidance},
        optimizer=Adamax(lr=0.05) if kind == "sjc" else Adam(lr=0.001, eps=1e-15),
    )
    for name, part in parts.parts():
        part.name = name
        part.to(device)
        if part is not stage.guidance["views"]:
            part.bind(stage)
    parts.bind_optimizer()
    return Bench(parts, stage, ours)


def _count(*, skipped: bool) -> int:
    """A step that is not finite ends early, so its time would be no figure."""
    if skipped:
        raise RuntimeError("a step was not finite")
    return 0


def _object(kind: Kind, narrow: int) -> Representation:
    if kind == "sjc":
        return Voxel(100 if narrow == 1 else 8, "latent")
    small: dict[str, Any] = {} if narrow == 1 else {"levels": 2, "table_log2": 8, "finest": 32, "voxel_size": 0.25}
    return HashGrid(layers=0 if kind == "vsd" else 1, **small)


def _texted(
    kind: Kind, latent: int, narrow: int, stage: Stage, ours: bool, graphs: bool, options: dict[str, Any]
) -> dict[str, Guidance]:
    made = networks.stable_diffusion(latent, narrow, stage.device)
    texts = networks.Embeddings(int(made.unet.config["cross_attention_dim"]), stage.device)
    if not ours:
        known, bar = (texts([EMPTY]), texts([PROMPT])), made.diffusion.schedule().alpha_bar.to(stage.device)
        way = published.SDS if kind == "sds" else published.VSD
        return {"views": way(made, known, bar, 100.0 if kind == "sds" else 7.5, **options)}
    prior = StableDiffusion(view_prompts="none")
    prior.prompt, prior.negative_prompt = PROMPT, EMPTY
    texts([EMPTY, PROMPT])
    prior.use(texts, made, Graphs.of(stage, wanted=graphs))
    objective = SDS(100.0) if kind == "sds" else VSD(AdamW(0.0001), 7.5)
    objective.name = "guidance.views.objective"
    objective.pair(prior, stage)
    return {"views": Distill(prior, objective)}


def _posed(
    latent: int, narrow: int, stage: Stage, ours: bool, graphs: bool, options: dict[str, Any]
) -> dict[str, Guidance]:
    made = networks.zero123(latent, narrow, stage.device)
    prior = Zero123()
    prior.use(made, Graphs.of(stage, wanted=graphs and ours))
    picture = stage.inputs.picture.resized(made.picture_size).image.to(stage.device)
    assert stage.reference is not None
    prior._seen = [prior._look((picture, stage.reference))]  # noqa: SLF001 (`bind` would look for files)
    views: Guidance = Distill(prior, SJC(100.0), 0.01, 0.969)
    if not ours:
        bar = made.settings.diffusion.schedule().alpha_bar.to(stage.device)
        views = published.SJC(prior, bar, 100.0, **options)
    return {"views": views, "input": cast("Guidance", ReferenceView())}


def view_gradient(bench: Bench, image: Tensor, index: int = 0) -> tuple[Tensor, Any]:
    """The gradient of the guidance's loss by a picture in the place of a rendered one, and the guidance."""
    from gen3d.views import Views

    step = bench.stage.step(index)
    cameras = bench.parts.cameras.sample(step)
    one = torch.ones_like(image[..., :1])
    given = image.clone().requires_grad_()
    space = "latent" if image.shape[-1] == 4 else "rgb"  # noqa: PLR2004 (Stable Diffusion's channels)
    loss = bench.guidance(step, Views(cameras, given, space, one, one)).loss
    (gradient,) = torch.autograd.grad(loss, given)
    return gradient, bench.guidance
