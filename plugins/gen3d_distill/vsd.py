"""Variational Score Distillation (Wang et al. 2023, ProlificDreamer, equation 9 and algorithm 1)."""

from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d import rng
from gen3d.diffusion import classifier_free
from gen3d.errors import BadInput
from gen3d.guidance import Adapter, Condition, Latents, Prior
from gen3d.optimizer import Optimizer
from gen3d.part import Stage, Step
from gen3d.schedule import Schedule
from gen3d.transfer import sent
from gen3d_distill.score_distillation import Sample, ScoreDistillation
from gen3d_distill.timesteps import check_windows, timesteps, window
from gen3d_distill.weighting import Weighting


@final
class VSD(ScoreDistillation):
    """w(t) (eps_hat(x_t; y, t) - e_phi(x_t; y, t, c)), where e_phi learns the score of the rendered views themselves.

    phi is the prior's network with an adapter that is told the camera c. It is trained on the latents of each step, and
    is one for all particles. The prior's branches and the adapter's are one call of one network. A new adapter makes
    this (s - 1) times CSD.

    Args:
        optimizer: of the adapter; published: `{type: adamw, lr: 0.0001}`, warmed up over 500 steps.
        cfg_scale: s in e_0 + s (e_y - e_0), of the prior.
        camera_scale: the same between e_phi without and with the camera: 1 leaves the former out, less than 1
            makes views differ more (Wang et al. 2024, "Taming Mode Collapse", which calls 1 less it lambda).
        trust: share of e_phi against the sample's own noise, which is what e_phi is for a single particle that phi
            knows: less than 1 holds back what runs away while phi lags, in runs of few steps; 0 is SDS.
        rank: of the adapter's changes.
        updates: steps of the adapter for each step of the object.
        camera_dropout: share of the updates in which the camera is left out.
        t_min: lowest timestep of the updates, as a share of the prior's schedule; may change over the stage.
        t_max: highest timestep, likewise. Published: the whole schedule; in few steps phi learns what it is asked
            about only if this is the guidance's own range.
        loss: what the adapter's squared error is about; that of velocities weighs noise by 1 / alpha^2.
        weighting: w(t).
    """

    branches = frozenset({"conditional", "unconditional", "adapter", "adapter_null"})
    adapter: Adapter

    def __init__(
        self,
        optimizer: Optimizer,
        cfg_scale: Schedule | float = 7.5,
        camera_scale: Schedule | float = 1.0,
        trust: Schedule | float = 1.0,
        rank: int = 4,
        updates: int = 1,
        camera_dropout: float = 0.1,
        t_min: Schedule | float = 0.0,
        t_max: Schedule | float = 1.0,
        loss: Literal["noise", "velocity"] = "noise",
        weighting: Weighting = "sigma_squared",
    ) -> None:
        super().__init__(weighting)
        if rank < 1 or updates < 0 or not 0 <= camera_dropout <= 1:
            cause = f"rank {rank}, updates {updates}, camera_dropout {camera_dropout}"
            raise BadInput(cause, remedy="rank is at least 1, updates at least 0, camera_dropout from 0 to 1")
        self.optimizer, self.rank, self.updates = optimizer, rank, updates
        self.camera_dropout, self.loss = camera_dropout, loss
        self.cfg_scale, self.camera_scale = Schedule.of(cfg_scale), Schedule.of(camera_scale)
        self.trust = Schedule.of(trust)
        self.t_min, self.t_max = Schedule.of(t_min), Schedule.of(t_max)

    def pair(self, prior: Prior, stage: Stage) -> None:
        """Make the adapter of this prior. Raises BadInput where the updates' range of timesteps is empty."""
        check_windows(self.t_min, self.t_max, stage, self.name)
        self.adapter = prior.adapter(self.rank, rng.generator(stage.seed, stage.name, f"{self.name}.adapter"))
        self.optimizer.bind({f"adapter.{name}": group for name, group in self.adapter.param_groups().items()})

    def delta(self, sample: Sample, step: Step) -> Latents:
        """Guided noise, less the adapter's, as far as that is trusted."""
        scale = self.camera_scale(step.index, step.total)
        asked = ("adapter",) if scale == 1 else ("adapter", "adapter_null")
        eps = sample.noised().scores(*asked, adapter=self.adapter)
        phi = eps["adapter"] if scale == 1 else classifier_free(eps["adapter_null"], eps["adapter"], scale)
        known = torch.lerp(sample.noise, phi, self.trust(step.index, step.total))
        return eps.guided(self.cfg_scale(step.index, step.total)) - known

    def learn(self, prior: Prior, latents: Latents, condition: Condition, step: Step) -> None:
        """Take phi's steps, each with timesteps and noise of its own."""
        low, high = window(self.t_min, self.t_max, step, self.name)
        for k in range(self.updates):
            stream = f"{self.name}.learn.{k}"
            t = timesteps("uniform", low, high, len(prior.schedule), len(latents), step, f"{stream}.t")
            noise = step.randn(f"{stream}.noise", *latents.shape)
            dropped = torch.rand((), generator=step.rng(f"{stream}.camera")).item() < self.camera_dropout
            error = self.error(prior, latents, sent(t, latents.device), condition, noise, dropped=dropped)
            self.optimizer.step(error, step)
            self.log = {"adapter": error.detach()}

    def error(
        self,
        prior: Prior,
        latents: Latents,
        t: Int[Tensor, " batch"],
        condition: Condition,
        noise: Latents,
        *,
        dropped: bool,
    ) -> Float[Tensor, ""]:
        """The mean squared error of phi on clean latents; its gradient is the adapter's alone."""
        branch = "adapter_null" if dropped else "adapter"
        noisy = prior.schedule.add_noise(latents, noise, t)
        gap = prior.predict(noisy, t, condition, (branch,), self.adapter)[branch] - noise
        if self.loss == "velocity":  # v = (eps - sigma x_t) / alpha, at the same x_t
            gap = gap / prior.schedule.alpha(t)
        return gap.square().mean()

    def trained_state(self) -> dict[str, Any]:
        """The adapter and its optimizer: without them a resumed run would start again with CSD."""
        return {"adapter": self.adapter.trained_state(), "optimizer": self.optimizer.state_dict()}

    def load_trained_state(self, state: dict[str, Any]) -> None:
        """Put both back."""
        self.adapter.load_trained_state(state["adapter"])
        self.optimizer.load_state_dict(state["optimizer"])
