"""Figures of objects made from prompts: what a classifier names them, their colours, their diversity."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from kornia.color import rgb_to_hsv
from torch import Tensor

from gen3d_training.classifier import Classifier
from gen3d_training.dataset import ViewDataset, over_white
from gen3d_training.kinds import objects_by_kind
from gen3d_training.train_classifier import JUDGED_DEG, within

EMPTY = 0.005
"""Share of the pictures' area below which there is nothing to be named."""

Pictures = UInt8[np.ndarray, "objects views size size 4"]
"""RGBA with straight alpha, of several objects by equal cameras."""


@dataclass(frozen=True, eq=False)
class Judge:
    """What judges the pictures of prompts.

    Args:
        classifier: names them.
        saturation: of real objects, by kind.
    """

    classifier: Classifier
    saturation: dict[str, float]

    @classmethod
    def of(cls, classifier: Classifier, dataset: ViewDataset, kinds: Iterable[str]) -> "Judge":
        """One for these kinds: real colours are those of all of a kind's objects, in the views that figures are of."""
        views, places = within(dataset, JUDGED_DEG), objects_by_kind(dataset.names)

        def real(place: int) -> float:
            return saturation(dataset.pictures[place, views[place]].float() / 255)

        return cls(classifier, {kind: statistics.fmean(map(real, places[kind])) for kind in dict.fromkeys(kinds)})

    def __call__(self, pictures: UInt8[np.ndarray, "views size size 4"], kind: str) -> dict[str, Any]:
        """What an object is named: the kind with the highest mean log-probability over its views.

        Returns:
            `named` ("" where it is empty), whether that is `right`, the `rank` of the right kind (1 is best), the
            `share` of views that are named right by themselves, and the `saturation` of the object and of real ones.
        """
        classifier, real = self.classifier, self.saturation[kind]
        rgba = _floats(pictures)
        if rgba[..., 3].mean() < EMPTY:
            nothing = {"named": "", "right": False, "rank": len(classifier.kinds), "share": 0.0}
            return {**nothing, "saturation": 0.0, "real_saturation": real}
        scores = classifier.log_probabilities(over_white(rgba))
        mean, truth = scores.mean(dim=0), classifier.kinds.index(kind)
        named = classifier.kinds[int(mean.argmax())]
        return {
            "named": named,
            "right": named == kind,
            "rank": 1 + int((mean > mean[truth]).sum()),
            "share": float((scores.argmax(dim=1) == truth).float().mean()),
            "saturation": saturation(rgba),
            "real_saturation": real,
        }


def saturation(rgba: Float[Tensor, "*views 4"]) -> float:
    """Mean saturation (of HSV) of the pixels, each counted as much as the object covers it."""
    color, alpha = rgba.reshape(-1, 4).split([3, 1], dim=-1)
    values = rgb_to_hsv(color[..., None, None])[:, 1].flatten()
    return float((values * alpha[:, 0]).sum() / alpha.sum().clamp_min(1e-9))


def diversity(pictures: Pictures) -> float:
    """Mean over pairs of objects of the root mean square difference of their pictures, over white, by equal cameras."""
    images = over_white(_floats(pictures))
    return statistics.fmean(float((one - other).square().mean().sqrt()) for one, other in combinations(images, 2))


def summary(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of one recipe's judged prompts; those that failed are not right, and in no mean."""
    made = [case for case in cases if "error" not in case]
    means = {key: _mean([case[key] for case in made]) for key in ("share", "saturation", "real_saturation", "seconds")}
    peaks = [max(case["memory_mib"].values()) for case in made if case["memory_mib"]]
    right = sum(case["right"] for case in made)
    return {"right": right, "of": len(cases), **means, "memory_mib": max(peaks, default=None)}


def _floats(pictures: UInt8[np.ndarray, "*objects size size 4"]) -> Float[Tensor, "*objects size size 4"]:
    return torch.tensor(pictures).float() / 255


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None
