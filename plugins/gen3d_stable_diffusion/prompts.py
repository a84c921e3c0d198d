"""What of a prompt goes into each view: how it says where the view is."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.errors import BadInput
from gen3d_stable_diffusion.texts import Texts
from gen3d_stable_diffusion.views import DIRECTIONS, binned, interpolated, perp_neg_directions
from gen3d_stable_diffusion.wording import SUFFIX, worded

PERP_NEG = ("perp_neg_0", "perp_neg_1")
"""The branches of Perp-Neg's negatives."""

Law = Literal["none", "bins", "interpolated", "perp_neg"]


@dataclass(frozen=True)
class ViewPrompts:
    """How prompts depend on where the views are; its fields are keys of the prior, which explains them.

    Raises:
        BadInput: the wording leaves out the prompt or the view.
    """

    law: Law
    text: str
    front_deg: float
    back_deg: float
    overhead_deg: float

    def __post_init__(self) -> None:
        if "{prompt}" not in self.text or "{view}" not in self.text:
            remedy = f"it holds {{prompt}} and {{view}}, such as {SUFFIX!r}"
            raise BadInput(f"view_text is {self.text!r}", remedy=remedy)

    def wordings(self, prompt: str) -> list[str]:
        """All texts that a prompt may become: with each of DIRECTIONS, and last as it is."""
        return [*(self._directed(prompt) if self.law != "none" else ()), prompt]

    def _directed(self, prompt: str) -> list[str]:
        return [worded(self.text, prompt, view) for view in DIRECTIONS]

    def shares(self, cameras: Cameras) -> Float[Tensor, "views directions"]:
        """Of the directions in each view."""
        overhead = math.radians(self.overhead_deg)
        if self.law == "bins":
            front, back = math.radians(self.front_deg), math.radians(self.back_deg)
            return binned(cameras.azimuth, cameras.elevation, front, back, overhead)
        return interpolated(cameras.azimuth, cameras.elevation, overhead)

    def conditional(self, embed: Texts, prompts: list[str], cameras: Cameras) -> Float[Tensor, "views tokens width"]:
        """The text of each view: one prompt for each."""
        if self.law == "none":
            return embed(prompts)
        return torch.einsum("vd,vdtw->vtw", self.shares(cameras), self._table(embed, prompts))

    def negatives(self, embed: Texts, prompts: list[str], cameras: Cameras) -> dict[str, Tensor]:
        """The texts of Perp-Neg's negatives by branch, and their weights as "perp_neg"; nothing without Perp-Neg."""
        if self.law != "perp_neg":
            return {}
        index, weights = perp_neg_directions(cameras.azimuth, cameras.elevation, math.radians(self.overhead_deg))
        table = self._table(embed, prompts)
        rows = torch.arange(len(table), device=table.device)
        return {"perp_neg": weights} | {name: table[rows, index[:, i]] for i, name in enumerate(PERP_NEG)}

    def _table(self, embed: Texts, prompts: list[str]) -> Float[Tensor, "views directions tokens width"]:
        words = [text for prompt in prompts for text in self._directed(prompt)]
        return embed(words).unflatten(0, (len(prompts), len(DIRECTIONS)))
