"""Figures of objects made from prompts, by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from gen3d_training.classifier import Classifier, KindNetwork
from gen3d_training.text_scores import Judge, diversity, saturation, summary
from gen3d_training.text_tables import LEAST, classifier_text


def test_saturation_counts_pixels_by_their_alpha() -> None:
    pixels = torch.tensor([[1.0, 0.0, 0.0, 0.5], [0.5, 0.5, 0.5, 1.0], [0.0, 1.0, 0.0, 0.0]])
    assert saturation(pixels) == pytest.approx(0.5 / 1.5)
    assert saturation(torch.tensor([[0.8, 0.4, 0.6, 1.0]])) == pytest.approx(0.5)
    assert saturation(torch.zeros(3, 4)) == 0


def test_diversity_is_the_mean_distance_of_pairs_over_white() -> None:
    grey = np.array([0, 51, 255], np.uint8)[:, None, None, None, None]
    pictures = np.broadcast_to(grey, (3, 2, 4, 4, 4)).copy()
    pictures[..., 3] = 255
    assert diversity(pictures) == pytest.approx((0.2 + 1.0 + 0.8) / 3)
    pictures[0, ..., 3] = 0  # clear, over white, is the third one
    assert diversity(pictures) == pytest.approx((0.8 + 0.0 + 0.8) / 3)
    half = pictures[1:].copy()
    half[1, :1] = half[0, :1]  # alike from one of the two sides
    assert diversity(half) == pytest.approx(0.8 / 2**0.5)


def fixed(scores: list[float]) -> Judge:
    """A judge that says the same of every picture."""
    network = KindNetwork(3).eval()
    last = network.head[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor(scores)
    return Judge(Classifier(("tree", "crate", "fish"), network, {}), {"tree": 0.1, "crate": 0.2, "fish": 0.3})


def test_the_rank_is_that_of_the_right_kind() -> None:
    judge, pictures = fixed([1.0, 3.0, 2.0]), np.full((5, 16, 16, 4), 200, np.uint8)
    found = {kind: judge(pictures, kind) for kind in ("tree", "crate", "fish")}
    assert [one["rank"] for one in found.values()] == [3, 1, 2]
    assert [one["right"] for one in found.values()] == [False, True, False]
    assert [one["share"] for one in found.values()] == [0.0, 1.0, 0.0]
    assert {one["named"] for one in found.values()} == {"crate"}
    assert [one["real_saturation"] for one in found.values()] == [0.1, 0.2, 0.3]


def test_nothing_is_never_right() -> None:
    pictures = np.full((5, 16, 16, 4), 200, np.uint8)
    pictures[..., 3] = 1
    found = fixed([0.0, 1.0, 0.0])(pictures, "crate")
    assert (found["named"], found["right"], found["rank"]) == ("", False, 3)


def test_a_failed_prompt_counts_and_is_in_no_mean() -> None:
    case = {"right": True, "share": 0.5, "saturation": 0.4, "real_saturation": 0.2, "seconds": 10.0}
    cases = [
        {**case, "memory_mib": {"resident": 500.0, "cuda": 900.0}},
        {**case, "right": False, "share": 1.0, "seconds": 20.0, "memory_mib": {}},
        {"error": "Degenerate: empty"},
    ]
    found = summary(cases)
    assert (found["right"], found["of"], found["memory_mib"]) == (1, 3, 900.0)
    assert (found["share"], found["seconds"], found["saturation"]) == pytest.approx((0.75, 15.0, 0.4))
    assert summary([{"error": "x"}])["share"] is None


def test_a_poor_classifier_is_said_to_be_no_judge() -> None:
    def text(right: float) -> str:
        accuracy = {"right": right, "mean_over_kinds": 0.5}
        about = {"views": accuracy, "objects": accuracy, "held_out": {"views": 60, "objects": 5}}
        about |= {"chance": 0.1, "commonest": 0.3}
        return classifier_text({"kinds": ["tree"] * 10, "classifier": about})

    assert "right in 91.2% of views" in text(0.912)
    assert "no judge" not in text(LEAST)
    assert "no judge" in text(0.89)
