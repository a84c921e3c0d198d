"""Guidance by a frozen diffusion model: what an objective makes of a prior's predictions, as a loss on the views."""

from typing import Any, Literal

import torch
from torch import nn

from gen3d.errors import Unsupported
from gen3d.guidance import Condition, Guidance, Latents, Objective, Prior, Signal
from gen3d.memory import Memory, Scene
from gen3d.part import Stage, Step
from gen3d.representation import RadianceField
from gen3d.schedule import Schedule
from gen3d.transfer import sent
from gen3d.views import Views
from gen3d_distill.timesteps import Law, check_windows, timesteps, window


class Distill(Guidance):
    """Score distillation: dL/d latents is the objective's residual, summed over elements, averaged over views.

    The loss is <stopgrad(residual), latents>, whose gradient is exact in float32 (half the squared distance to
    latents - residual would round small residuals away), and whose own value means nothing; half the squared
    residual is logged as "value" instead. A residual that is not finite makes the loss so: nothing hides it.

    Args:
        prior: the frozen diffusion model.
        objective: what turns its predictions into a gradient.
        t_min: lowest timestep, as a share of the prior's schedule; may change over the stage.
        t_max: highest timestep, likewise.
        timesteps: uniform draws an integer from t_min to t_max for each view; the others fall over the stage, one for
            all views: square_root from t_max to t_min (HiFA), dream_time by DreamTime's weights.
        picture: what the prior sees, the rendered image or the normals as colours.

    Raises:
        Unsupported: the objective asks for a branch that the prior cannot predict.
    """

    def __init__(
        self,
        prior: Prior,
        objective: Objective,
        t_min: Schedule | float = 0.02,
        t_max: Schedule | float = 0.98,
        timesteps: Law = "uniform",
        picture: Literal["image", "normal"] = "image",
    ) -> None:
        super().__init__()
        missing = objective.branches - prior.branches
        if missing:
            pair = f"{type(objective).__name__} with {type(prior).__name__}"
            raise Unsupported(
                f"{pair}: the prior has no {' or '.join(sorted(missing))} prediction",
                remedy=prior.remedies.get(min(missing), "choose another objective, or another prior"),
            )
        self.prior, self.objective, self.picture = prior, objective, picture
        self.t_min, self.t_max, self.law = Schedule.of(t_min), Schedule.of(t_max), timesteps
        self.needs = frozenset({picture})
        self._seen: tuple[Latents, Condition] | None = None

    def bind(self, stage: Stage) -> None:
        """Bind both halves, and make them a pair.

        Raises:
            BadInput: the range of timesteps is empty at some step.
            Unsupported: the field's latents are not the prior's.
        """
        check_windows(self.t_min, self.t_max, stage, self.name)
        for role, part in self._halves().items():
            part.name = f"{self.name}.{role}"
            part.bind(stage)
        self.objective.pair(self.prior, stage)
        self._check_channels(stage)

    def memory(self, scene: Scene) -> Memory:
        """What the prior says that it takes for this objective."""
        branches = self.objective.branches
        prior: Any = self.prior
        if not hasattr(prior, "memory"):
            return Memory()
        asked: Memory = prior.memory(scene, len(branches - {"adapter_null"}), learns="adapter" in branches)
        return asked

    def at(self, step: Step) -> None:
        """Pass the step on to both halves."""
        for part in self._halves().values():
            part.at(step)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """Those of both halves, as "prior.NAME" and "objective.NAME"."""
        halves = self._halves().items()
        return {f"{role}.{name}": group for role, part in halves for name, group in part.param_groups().items()}

    def trained_state(self) -> dict[str, Any]:
        """Those of both halves, as "prior.NAME" and "objective.NAME"."""
        halves = self._halves().items()
        return {f"{role}.{name}": value for role, part in halves for name, value in part.trained_state().items()}

    def load_trained_state(self, state: dict[str, Any]) -> None:
        """Give each half its own."""
        for role, part in self._halves().items():
            prefix = f"{role}."
            part.load_trained_state(
                {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
            )

    def forward(self, step: Step, *views: Views) -> Signal:
        """The residual on the first views' latents as a loss."""
        latents = self._latents(views[0])
        clean = latents.detach()
        with torch.no_grad():
            condition = self.prior.condition(views[0].cameras)
            size, (low, high) = len(self.prior.schedule), window(self.t_min, self.t_max, step, self.name)
            t = sent(timesteps(self.law, low, high, size, len(latents), step, f"{self.name}.t"), latents.device)
            noise = step.randn(f"{self.name}.noise", *latents.shape)
            residual = self.objective.residual(self.prior, clean, t, condition, noise, step)
        self._seen = clean, condition
        gradient = residual.gradient.detach()
        loss = (gradient * latents).sum() / len(latents)
        value = 0.5 * gradient.square().sum() / len(latents)
        return Signal(loss, {"value": value, **residual.log})

    def after_step(self, step: Step) -> None:
        """Let the objective learn from the latents of this step."""
        if self._seen is not None:
            self.objective.learn(self.prior, *self._seen, step)
        self._seen = None

    def _halves(self) -> dict[str, Prior | Objective]:
        return {"prior": self.prior, "objective": self.objective}

    def _check_channels(self, stage: Stage) -> None:
        field = stage.representation
        if self.picture == "normal" or not isinstance(field, RadianceField) or field.space == "rgb":
            return
        with torch.no_grad():
            made = self.prior.encode(torch.ones(1, 64, 64, 3, device=stage.device)).shape[1]
        if made != field.channels:
            raise Unsupported(
                f"the field holds latents of {field.channels} channels, and the prior's have {made}",
                place=self.name,
                remedy=f"set representation.channels={made}, or representation.channels=rgb",
            )

    def _latents(self, views: Views) -> Latents:
        if self.picture == "normal":
            if views.normal is None:
                raise Unsupported("the renderer gives no normals", place=self.name, remedy="use picture: image")
            return self.prior.encode(0.5 * views.normal + 0.5)
        if views.space == "latent":
            return views.image.permute(0, 3, 1, 2)
        return self.prior.encode(views.color)
