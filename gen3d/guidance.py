"""What says how the pictures should change: guidances, and the two halves of a diffusion one."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.diffusion import NoiseSchedule
from gen3d.errors import Unsupported
from gen3d.part import Part, Stage, Step
from gen3d.views import Views

Latents = Float[Tensor, "batch channels height width"]
Branches = dict[str, Tensor]
"""Predicted noise of each branch by name, each of Latents' shape:

conditional       for the views' own condition
unconditional     what classifier-free guidance starts from
negative          for what is not wanted, such as a negative prompt by itself
perp_neg_0, ...   for Perp-Neg's negatives, as many as `Prior.perp_neg_weights` has columns
adapter           conditional, by the network with its adapter, which is told each row's camera
adapter_null      the same with the cameras left out
"""


@dataclass(frozen=True)
class Signal:
    """What a guidance says in one step.

    Args:
        loss: a scalar whose gradient changes the object.
        log: numbers to show beside it; where one is called "value" it is shown in place of the loss.
    """

    loss: Float[Tensor, ""]
    log: Mapping[str, float | Tensor] = field(default_factory=dict)


class Guidance(Part):
    """One term of the objective. A regularizer is a guidance without a prior.

    `weight` is a reserved recipe key of every guidance: the loop schedules and applies it.
    """

    needs: frozenset[str] = frozenset({"image"})
    """Outputs it reads: image, alpha, depth, normal, samples. Dear ones are rendered only if somebody asks."""

    def cameras(self, step: Step, random: Cameras) -> tuple[Cameras, ...]:
        """The cameras it wants to see the object from; () when it has nothing to say this step."""
        return (random,)

    @abstractmethod
    def forward(self, step: Step, *views: Views) -> Signal:
        """One Views for each Cameras asked for."""

    def after_step(self, step: Step) -> None:
        """Train what is its own (VSD's score network), after the object's step."""


@dataclass(frozen=True)
class Condition:
    """What a prior makes of cameras, pictures and prompts: opaque tensors, one row a view."""

    tensors: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, rows: slice | Tensor) -> "Condition":
        return type(self)({name: tensor[rows] for name, tensor in self.tensors.items()})

    @classmethod
    def concatenate(cls, conditions: Sequence["Condition"]) -> "Condition":
        """All rows in order."""
        names = conditions[0].tensors
        return cls({name: torch.cat([c.tensors[name] for c in conditions]) for name in names})


class Adapter(Part):
    """What makes a trainable twin of a prior's frozen network: VSD learns the score of the rendered views with it.

    `Prior.adapter` makes one, and that prior's `predict` is who applies it. Whoever asked for it trains what its
    `param_groups` name, with an optimizer of its own, and has its `trained_state` checkpointed. A new one changes
    nothing: the branch "adapter" starts as what the frozen network predicts.
    """


class Prior(Part):
    """A frozen diffusion model: it predicts noise for each branch, always as epsilon, unmixed."""

    schedule: NoiseSchedule
    branches: frozenset[str] = frozenset({"conditional", "unconditional"})
    """The branches it can predict, known when it is constructed; with an adapter also adapter and adapter_null."""

    remedies: ClassVar[Mapping[str, str]] = {}
    """What a recipe must say for this prior to have a branch that it has not; other branches it never has."""

    @abstractmethod
    def condition(self, cameras: Cameras, sources: Sequence[object] | None = None) -> Condition:
        """What these views are conditioned on; `sources` replace the run's own inputs."""

    @abstractmethod
    def encode(self, images: Float[Tensor, "batch height width 3"]) -> Latents:
        """Pictures (sRGB in [0, 1], any size) as latents, differentiable."""

    @abstractmethod
    def decode(self, latents: Latents) -> Float[Tensor, "batch height width 3"]:
        """Latents as pictures, differentiable, not clamped."""

    @abstractmethod
    def predict(
        self,
        noisy: Latents,
        t: Int[Tensor, " batch"],
        condition: Condition,
        branches: Sequence[str],
        adapter: Adapter | None = None,
    ) -> Branches:
        """Predicted noise for each named branch in one batched network call; float32.

        All rows of a branch stand together, so that a row's prediction never depends on the other rows. Only the
        branches adapter and adapter_null have a gradient, where gradients are enabled, and only by the adapter's
        parameters. `gen3d.lora` does this for networks with attention.
        """

    def perp_neg_weights(self, condition: Condition) -> Float[Tensor, "batch negatives"] | None:
        """Weights (not positive) of the branches perp_neg_0, perp_neg_1, ... for each row of the condition.

        They and what the branches need travel in the condition's tensors, whose rows are the views'. None (the
        default) means that guidance is plain. Objectives mix with `gen3d.diffusion.perp_neg` where there are weights.
        """
        return None

    def adapter(self, rank: int, rng: torch.Generator) -> Adapter:
        """A new adapter for VSD, on the network's device; called after `bind`. Raises Unsupported without one.

        Args:
            rank: of the changes to each layer.
            rng: of its initial weights, on the CPU.
        """
        raise Unsupported(f"{type(self).__name__} has no adapter of rank {rank}")


@dataclass(frozen=True)
class Residual:
    """An objective's answer.

    Args:
        gradient: what is added to dL/d latents, per view (neither weighted by the guidance nor averaged).
        log: numbers to show.
    """

    gradient: Latents
    log: Mapping[str, float | Tensor] = field(default_factory=dict)


class Objective(Part):
    """SDS, SJC, VSD, ...: turns a prior's predictions into a gradient on the latents."""

    branches: frozenset[str] = frozenset({"conditional", "unconditional"})
    """The branches it asks of a prior; a prior without one of them is refused when the recipe loads."""

    def pair(self, prior: Prior, stage: Stage) -> None:
        """Called once a stage, when both are bound: make what depends on the prior, such as its adapter."""

    @abstractmethod
    def residual(
        self,
        prior: Prior,
        latents: Latents,
        t: Int[Tensor, " batch"],
        condition: Condition,
        noise: Latents,
        step: Step,
    ) -> Residual:
        """The gradient on clean, detached latents at timesteps t with the given noise."""

    def learn(self, prior: Prior, latents: Latents, condition: Condition, step: Step) -> None:
        """Train what is its own on the step's detached latents."""
