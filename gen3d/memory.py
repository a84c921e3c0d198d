"""How much of a GPU's memory a stage will take: arithmetic over sizes, for which nothing need be loaded.

A part that takes much says how much by a method `memory(scene)`, and by its `savings` which of its recipe keys would
make it take less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from gen3d.representation import Representation
    from gen3d.stage import StageParts

GIBIBYTE = 2**30
_OWN = 0.8  # GiB: CUDA itself, and what its libraries work in
_SCATTERED = 1.1  # of what is asked for, what is taken: freed pieces do not fit everything that comes after
_A_PARAMETER = 16  # bytes: float32, its gradient, two moments
_A_PIXEL = 4096  # bytes, where a renderer does not say


@dataclass(frozen=True)
class Memory:
    """What a part takes, GiB.

    Args:
        weights: of frozen networks, by what identifies them: parts that name the same share them.
        kept: all through the stage.
        step: from the drawing until the gradient is there.
        after: at the peak of what comes after a step, such as training an adapter.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    kept: float = 0.0
    step: float = 0.0
    after: float = 0.0


@dataclass(frozen=True)
class Scene:
    """What a step is about.

    Args:
        views: cameras a step.
        side: of the square views at their largest, pixels.
        field: the object.
    """

    views: int
    side: int
    field: Representation


@dataclass(frozen=True)
class Saving:
    """A change of one recipe key that saves memory; the part has an attribute of that name.

    Args:
        key: of the part.
        value: what it is set to.
        cost: 1: some time; 2: more of it; 3: what is made is not the same.
    """

    key: str
    value: Any
    cost: int = 1


def estimate(parts: StageParts) -> float:
    """GiB that a stage takes of a GPU."""
    size = max(value for _, value in parts.cameras.size.knots)
    scene = Scene(parts.cameras.views, int(size), parts.representation)
    needs = [_need(part, scene) for _, part in parts.parts()]
    weights: dict[str, float] = {}
    for need in needs:
        weights |= need.weights
    rest = max(sum(need.step for need in needs), sum(need.after for need in needs))
    return _SCATTERED * (_OWN + sum(weights.values()) + sum(need.kept for need in needs) + rest)


def one(part: Any) -> Any:
    """Of several renderers that take turns, the first."""
    members = getattr(part, "members", None)
    return members[0] if members else part


def _need(part: Any, scene: Scene) -> Memory:
    from gen3d.renderer import Renderer
    from gen3d.representation import Representation

    if isinstance(part, Representation):
        trained = sum(p.numel() for p in part.parameters()) * _A_PARAMETER
        return Memory(kept=(trained + sum(b.nbytes for b in part.buffers())) / GIBIBYTE)
    if hasattr(one(part), "memory"):
        return cast("Memory", one(part).memory(scene))
    prior: Any = getattr(part, "prior", None)
    if hasattr(prior, "memory"):  # it decodes
        return cast("Memory", prior.memory(scene, 0, learns=False))
    pixels = scene.views * scene.side**2 if isinstance(part, Renderer) else 0
    return Memory(step=pixels * _A_PIXEL / GIBIBYTE)
