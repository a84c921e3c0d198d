"""A small network that names the kind of the object in a picture: the judge of what text prompts give."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d.checkpoint import load_checkpoint, save_checkpoint
from gen3d.errors import BadInput

_LAYERS = ((24, 5, 2), (48, 3, 2), (48, 3, 1), (96, 3, 2), (160, 3, 2))
"""Channels, side and stride of the convolutions."""


class KindNetwork(nn.Module):
    """Five convolutions, four of which halve the picture, the mean over what is left, one linear layer.

    Args:
        kinds: how many.
    """

    def __init__(self, kinds: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, side, stride in _LAYERS:
            layers += [nn.Conv2d(channels, width, side, stride, side // 2, bias=False)]
            layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            channels = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(channels, kinds))

    def forward(self, images: Float[Tensor, "batch height width 3"]) -> Float[Tensor, "batch kinds"]:
        """Logits of pictures (sRGB in [0, 1]) over white."""
        scores: Tensor = self.head(self.body(images.permute(0, 3, 1, 2) * 2 - 1).mean(dim=(2, 3)))
        return scores

    @torch.no_grad()
    def log_probabilities(self, images: Float[Tensor, "batch height width 3"]) -> Float[Tensor, "batch kinds"]:
        """Of each kind: the mean of what a picture and its mirror image are given, for a mirror changes no kind."""
        own, mirrored = (self(pictures).log_softmax(dim=1) for pictures in (images, images.flip(2)))
        return torch.logaddexp(own, mirrored) - math.log(2)


@dataclass(frozen=True, eq=False)
class Classifier:
    """The trained network, and what it was measured to be worth.

    Args:
        kinds: the names of its outputs.
        network: in evaluation mode.
        about: figures on held-out objects, and how it was trained.
    """

    kinds: tuple[str, ...]
    network: KindNetwork
    about: dict[str, Any]

    def log_probabilities(self, images: Float[Tensor, "batch height width 3"]) -> Float[Tensor, "batch kinds"]:
        """Of each kind, for each picture (sRGB in [0, 1]) over white."""
        return self.network.log_probabilities(images)

    def save(self, path: Path) -> None:
        """Write one file."""
        state = {"kinds": list(self.kinds), "about": self.about, "network": self.network.state_dict()}
        save_checkpoint(path, state)

    @classmethod
    def load(cls, path: Path) -> "Classifier":
        """Read what `save` wrote. Raises BadInput where it is missing or damaged."""
        state = load_checkpoint(path)
        try:
            with torch.random.fork_rng(devices=[]):  # what is drawn here is replaced at once
                network = KindNetwork(len(state["kinds"]))
            network.load_state_dict(state["network"])
            return cls(tuple(state["kinds"]), network.eval(), state["about"])
        except (LookupError, RuntimeError, TypeError) as error:
            remedy = "remove it, to have it trained anew"
            raise BadInput("holds no classifier of this kind", place=str(path), remedy=remedy) from error
