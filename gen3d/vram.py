"""What to change of a recipe so that it takes no more of a GPU's memory than there is, before anything is loaded."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console

from gen3d.errors import BadInput, OutOfMemory, Unsupported
from gen3d.memory import GIBIBYTE, Saving, estimate, one
from gen3d.schedule import Schedule

if TYPE_CHECKING:
    from gen3d.config import Key
    from gen3d.recipe import Recipe
    from gen3d.run import Run
    from gen3d.stage import StageParts

_SMALLEST = 64  # pixels
_WORTH = 0.01  # GiB


@dataclass(frozen=True)
class Plan:
    """What to change.

    Args:
        before: GiB that each stage takes as it is.
        after: GiB that each stage takes with the changes.
        changes: values by the place of their key in the recipe.
    """

    before: Mapping[str, float]
    after: Mapping[str, float]
    changes: Mapping[Key, Any]

    def __str__(self) -> str:
        return "\n".join(
            f"  {stage}: about {self.after[stage]:.1f} GiB"
            + (f" rather than {before:.1f}, with {said}" if (said := self.said(stage)) else ", as it is")
            for stage, before in self.before.items()
        )

    def said(self, stage: str) -> str:
        """The changes of a stage as the command line has them."""
        return _written(
            {key: value for key, value in self.changes.items() if key[:2] == ("stages", stage)}
            or (self.changes if len(self.before) == 1 else {})
        )


def gibibytes(text: str) -> float:
    """What "8GB" or "7.5GiB" means. Raises BadInput."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(GB|GiB|G)\s*", text, re.IGNORECASE)
    if found is None or not float(found[1]):
        raise BadInput(f"{text!r} is no amount of memory", place="--vram", remedy="write --vram 8GB")
    return float(found[1]) * (1 if found[2].lower() == "gib" else 1e9 / GIBIBYTE)


def plan(recipe: Recipe, stages: Sequence[StageParts], budget: float, *, changing: bool = True) -> Plan:
    """The fewest and cheapest changes with which every stage fits.

    Args:
        recipe: of the stages.
        stages: their parts, of which nothing need be loaded.
        budget: GiB.
        changing: whether what is made may change: smaller pictures, fewer of them a step.

    Raises:
        OutOfMemory: nothing fits; it names the smallest budget that does.
    """
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    changes: dict[Key, Any] = {}
    least = 0.0
    for parts in stages:
        chosen = _chosen(parts, budget, changing=changing)
        before[parts.name], after[parts.name] = estimate(parts), estimate(_with(parts, chosen))
        least = max(least, after[parts.name])
        prefix = ("stages", parts.name) if recipe.config.values.get("stages") else ()
        changes |= {(*prefix, *path, saving.key): saving.value for path, saving in chosen}
    if least > budget:
        cause = f"nothing makes it fit into {_budget(budget)}: it takes {_budget(least)} at least"
        raise OutOfMemory(
            cause, remedy=f"give it --vram {least * GIBIBYTE / 1e9 + 0.05:.1f}GB, or choose another recipe"
        )
    return Plan(before, after, changes)


def fitted(run: Run, budget: str | None, *, changing: bool = True) -> Recipe:
    """The recipe of a run, changed so that it fits, and told; the same where it fits as it is.

    Args:
        run: nothing of it need be loaded.
        budget: such as "8GB"; None: what is free, where there is CUDA, and then only advice that need not be right.
        changing: as in `plan`.

    Raises:
        BadInput: the run has no GPU to plan for, or the budget is no amount of memory.
        OutOfMemory: nothing fits into the stated budget.
    """
    if run.device.type != "cuda":
        if budget is None:
            return run.recipe
        cause = f"is about a GPU's memory, and this runs on {run.device}"
        raise Unsupported(cause, place="--vram", remedy="leave it out, or set device=cuda")
    room = gibibytes(budget) if budget else torch.cuda.mem_get_info(run.device)[0] / GIBIBYTE
    try:
        made = plan(run.recipe, run.stages, room, changing=changing and budget is not None)
    except OutOfMemory as error:
        if budget is not None:
            raise
        _tell(f"memory: {error}")
        return run.recipe
    if made.changes or budget:
        _tell(f"memory: {_budget(room)}\n{made}")
    return run.recipe.changed(made.changes)


def advice(run: Run) -> str:
    """What would have fitted where a stage did not: what the next smaller budget asks for."""
    parts = next((parts for parts in run.stages if parts.name == run.stage.name), None)
    if parts is None or run.device.type != "cuda":
        return ""
    there = torch.cuda.get_device_properties(run.device).total_memory / GIBIBYTE
    for share in (0.8, 0.6, 0.4):
        budget = share * min(estimate(parts), there)
        try:
            made = plan(run.recipe, [parts], budget)
        except OutOfMemory:
            break
        if made.changes:
            return f"run it with {_written(made.changes)}, or with --vram {budget * GIBIBYTE / 1e9:.1f}GB"
    return ""


Chosen = list[tuple["Key", Saving]]


def _chosen(parts: StageParts, budget: float, *, changing: bool) -> Chosen:
    """Changes in order of their cost until it fits, less those that the dearer ones have made needless."""
    chosen: Chosen = []
    for path, saving in sorted(_savings(parts), key=lambda each: each[1].cost):
        now = estimate(_with(parts, chosen))
        if now <= budget:
            break
        others = [each for each in chosen if (each[0], each[1].key) != (path, saving.key)]
        more = [*others, (path, saving)]
        if (changing or saving.cost <= 2) and estimate(_with(parts, more)) < now - _WORTH:  # noqa: PLR2004 (time)
            chosen = more
    for each in chosen[:-1]:
        fewer = [other for other in chosen if other is not each]
        if estimate(_with(parts, fewer)) <= budget:
            chosen = fewer
    return chosen


def _savings(parts: StageParts) -> Iterator[tuple[Key, Saving]]:
    for name, part in parts.parts():
        path = tuple(name.split("."))
        yield from ((path, saving) for saving in getattr(one(part), "savings", ()))
        prior = getattr(part, "prior", None)
        yield from (((*path, "prior"), saving) for saving in getattr(prior, "savings", ()))
    cameras = parts.cameras
    halves = (cameras.views >> shift for shift in range(1, cameras.views.bit_length()))
    yield from ((("cameras",), Saving("views", views, 3)) for views in halves)
    largest = int(max(value for _, value in cameras.size.knots))
    while largest // 2 >= _SMALLEST:
        largest //= 2
        yield ("cameras",), Saving("size", _capped(cameras.size, largest), 3)


def _capped(size: Schedule, most: int) -> Any:
    if len(size.knots) == 1:
        return most
    table = {str(at): min(int(value), most) for at, value in size.knots}
    return {"ramp": table} if size.linear else table


def _with(parts: StageParts, chosen: Chosen) -> StageParts:
    """The parts as the changes would make them, as far as estimates go."""
    result = copy.copy(parts)
    result.guidance = dict(parts.guidance)
    for path, saving in chosen:
        if path[0] == "cameras":
            result.cameras = copy.copy(result.cameras)
            setattr(result.cameras, saving.key, Schedule.of(saving.value) if saving.key == "size" else saving.value)
        elif path[0] == "renderer":
            result.renderer = _copied(one(result.renderer), saving)
        elif path[2:]:
            guidance = _copied(result.guidance[path[1]])
            guidance.__dict__["_modules"]["prior"] = _copied(guidance.prior, saving)
            result.guidance[path[1]] = guidance
        else:
            result.guidance[path[1]] = _copied(result.guidance[path[1]], saving)
    return result


def _copied(part: Any, saving: Saving | None = None) -> Any:
    """A part that shares everything with this one but its attributes, one of which is changed."""
    result = copy.copy(part)
    changed = {saving.key: saving.value} if saving else {}
    result.__dict__ = {**part.__dict__, "_modules": dict(part.__dict__["_modules"]), **changed}
    return result


def _budget(amount: float) -> str:
    return f"{amount * GIBIBYTE / 1e9:.1f} GB"


def _written(changes: Mapping[Key, Any]) -> str:
    values = {key: str(value).lower() if isinstance(value, bool) else value for key, value in changes.items()}
    return " ".join(f"{'.'.join(key)}={value}" for key, value in values.items())


def _tell(text: str) -> None:
    Console().print(text, soft_wrap=True, highlight=False, markup=False)
