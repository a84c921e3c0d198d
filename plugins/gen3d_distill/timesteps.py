"""Which timesteps a step looks at: laws that fall over the stage, beside the uniform one."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.errors import BadInput
from gen3d.part import Stage, Step
from gen3d.schedule import Schedule

Law = Literal["uniform", "square_root", "dream_time"]


def window(t_min: Schedule, t_max: Schedule, step: Step, place: str) -> tuple[float, float]:
    """The range of timesteps at a step, as shares of the prior's schedule. Raises BadInput where there is none."""
    low, high = (schedule(step.index, step.total) for schedule in (t_min, t_max))
    if not 0 <= low <= high <= 1:
        raise BadInput(
            f"timesteps from t_min = {low:g} to t_max = {high:g} at step {step.index}",
            place=place,
            remedy="they are shares of the prior's schedule: 0 <= t_min <= t_max <= 1",
        )
    return low, high


def check_windows(t_min: Schedule, t_max: Schedule, stage: Stage, place: str) -> None:
    """Whether there is a range at every step of a stage. Raises BadInput."""
    for index in range(stage.steps):
        window(t_min, t_max, stage.step(index), place)


def timesteps(
    law: Law, low: float, high: float, steps: int, count: int, step: Step, stream: str
) -> Int[Tensor, " views"]:
    """A timestep for each view, on the CPU.

    Args:
        law: uniform draws one for each view, from `low` to `high`, both included. The others state one for all:
            square_root falls from `high` to `low` as HiFA's (Zhu et al. 2023, equation 9), dream_time stays long where
            DreamTime's weight is large (Huang et al. 2023, equation 8), cut off at `low` and `high`.
        low: as a share of the schedule.
        high: likewise.
        steps: of the schedule.
        count: of views.
        step: where the stage is.
        stream: name of the random stream.
    """
    last, done = steps - 1, step.index / step.total
    lowest, highest = (min(round(share * steps), last) for share in (low, high))
    match law:
        case "uniform":
            return torch.randint(lowest, highest + 1, (count,), generator=step.rng(stream))
        case "square_root":
            t = int(steps * ((high - low) * (1 - math.sqrt(done)) + low))
        case "dream_time":
            t = dream_time(done, steps)
    return torch.full((count,), min(max(t, lowest), highest))


def dream_time(done: float, steps: int) -> int:
    """The t above which lies the share `done` of all of DreamTime's weight: argmin |sum over u >= t of p(u) - done|."""
    weights = dream_time_weights(steps)
    above = weights.flip(0).cumsum(0).flip(0) / weights.sum()
    return int((above - done).abs().argmin())


def dream_time_weights(steps: int) -> Float[Tensor, " steps"]:
    """1 on the middle timesteps, 500 to 800 of 1000, with Gaussian tails of 100 below and 300 above (section 4.2)."""
    t = torch.arange(steps, dtype=torch.float64) * (1000 / steps)
    below, above = (500 - t).clamp_min(0) / 100, (t - 800).clamp_min(0) / 300
    return torch.exp(-0.5 * (below.square() + above.square()))
