"""What an object looks like, by the views that the steps render anyway: nothing, a block, a card, or burnt colours."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d.representation import RadianceField
from gen3d.views import Views

if TYPE_CHECKING:
    from gen3d.part import Step

WINDOWS = 10
"""Verdicts a stage: the first one comes when a tenth of it is done."""
LOOKS = 8
"""Steps of a window that are looked at."""
SHORTEST = 5
"""Steps of a window; stages in which it would be shorter are not judged."""

_CLEAR, _COVERED = 0.01, 0.5  # alpha below which a pixel is background, and above which it is the object
_FACE = 0.03  # of the box's side: what is nearer to its walls lies on them
_LIMIT = 1 / 255  # of a channel, from black or white
_EMPTY, _BLOCK, _WALLS, _FLAT, _SATURATED = 0.005, 0.9, 0.6, 0.08, 0.6
_VISIBLE = 0.003  # share of covered pixels below which there is too little to judge


@dataclass(frozen=True)
class Appearance:
    """Means over the views of a window.

    Args:
        coverage: alpha.
        border: alpha along the frame's border.
        walls: share of the visible surface that lies on the walls of the field's box; 0 for what has no box.
        thickness: shortest over longest extent of the visible surface (square roots of its points' variances along
            the principal axes); None where there is too little of it.
        saturated: share of the covered pixels' channels at 0 or 1; None where there is too little, or latents.
    """

    coverage: float
    border: float
    walls: float
    thickness: float | None
    saturated: float | None

    @classmethod
    def of(cls, means: list[float]) -> "Appearance":
        """Read the mean of what `statistics` gives."""
        coverage, border, covered, walls, colored, saturated, *moments = means
        visible = covered > _VISIBLE
        return cls(
            coverage,
            border,
            walls / covered if visible else 0.0,
            _thickness(np.array(moments[:3]) / covered, np.array(moments[3:]) / covered) if visible else None,
            saturated / colored if visible and colored > _VISIBLE else None,
        )

    @property
    def verdicts(self) -> dict[str, str]:
        """What is wrong with it, by name."""
        if self.coverage < _EMPTY:
            return {"empty": f"the object is empty: it covers {self.coverage:.1%} of its views"}
        if min(self.coverage, self.border) > _BLOCK or self.walls > _WALLS:
            return {"block": f"the object is a solid block: it covers {self.coverage:.0%} of its views"}
        found = {}
        if self.thickness is not None and self.thickness < _FLAT:
            found["flat"] = f"the object is flat as a card: {self.thickness:.1%} as thick as it is long"
        if self.saturated is not None and self.saturated > _SATURATED:
            found["saturated"] = f"the colours are saturated: {self.saturated:.0%} of them are at 0 or 1"
        return found


def statistics(view: Views, box: Float[Tensor, "2 3"] | None = None) -> Float[Tensor, " 18"]:
    """What `Appearance.of` reads of one batch of views, all on its device: nothing waits for it.

    Depths are taken to the world along their rays, without the background's share in them, which is what they show
    where nothing is.
    """
    alpha, depth = (values.detach().float().squeeze(-1) for values in (view.alpha, view.depth))
    rim = torch.cat([alpha[:, 0], alpha[:, -1], alpha[:, :, 0], alpha[:, :, -1]], dim=-1)
    clear, covered = alpha < _CLEAR, alpha > _COVERED
    background = torch.where(clear, depth, 0).sum() / clear.sum().clamp_min(1)
    own = (depth - (1 - alpha) * background) / alpha.clamp_min(_COVERED)
    origins, directions = view.cameras.rays()
    points = torch.where(covered[..., None], origins + own[..., None] * directions, 0).flatten(0, 2)
    share = covered.float().mean()
    on_walls, colored, saturated = share * 0, share * 0, share * 0
    if box is not None:
        gap = torch.minimum(points - box[0], box[1] - points) / (box[1] - box[0])
        on_walls = ((gap.amin(dim=-1) < _FACE) & covered.flatten()).float().mean()
    if view.space == "rgb":
        image = view.image.detach()
        extreme = ((image <= _LIMIT) | (image >= 1 - _LIMIT)).float().mean(dim=-1)
        colored, saturated = share, torch.where(covered, extreme, 0).mean()
    scalars = torch.stack([alpha.mean(), rim.mean(), share, on_walls, colored, saturated])
    second = points.T @ points / len(points)
    return torch.cat([scalars, points.mean(dim=0), second.flatten()])


def _thickness(mean: Float[np.ndarray, " 3"], second: Float[np.ndarray, " 9"]) -> float | None:
    covariance = second.reshape(3, 3) - np.outer(mean, mean)
    if not np.isfinite(covariance).all():
        return None
    least, _, most = np.linalg.eigvalsh(covariance).clip(1e-12)
    return float(np.sqrt(least / most))


class Eye:
    """Looks at some of a stage's steps, and says now and then what it has seen.

    Args:
        steps: of the stage.
        representation: what is drawn.
    """

    def __init__(self, steps: int, representation: object) -> None:
        self.window = steps // WINDOWS
        self.every = max(self.window // LOOKS, 1)
        self.representation = representation
        self._seen: list[Tensor] = []

    def look(self, views: Iterable[Views], step: "Step") -> Appearance | None:
        """Look at a step, if it is one to look at; at the end of a window, one transfer from the device."""
        done = step.index + 1
        if self.window < SHORTEST:
            return None
        if done % self.every == 0:
            with torch.no_grad():
                field = self.representation
                box = field.box if isinstance(field, RadianceField) else None
                self._seen += [statistics(view, box) for view in views]
        if done % self.window:
            return None
        seen, self._seen = self._seen, []
        # Of a window that was not begun here, because the run was resumed in it, there may be too little.
        return Appearance.of(torch.stack(seen).mean(dim=0).tolist()) if len(seen) >= SHORTEST else None
