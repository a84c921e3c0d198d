"""Train the judge of prompts on real renders, worn down to what distilled objects look like."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from kornia.filters import gaussian_blur2d
from torch import Tensor
from torch.nn import functional

from gen3d.rng import generator
from gen3d_training.classifier import Classifier, KindNetwork
from gen3d_training.dataset import ViewDataset, over_white
from gen3d_training.kinds import split
from gen3d_training.pairs import altered, recolor

LEARNT_DEG, JUDGED_DEG = (-15.0, 50.0), (0.0, 30.0)
"""Elevations of the views that are learnt, and of those that the figures are of, among which the evaluation's are."""

STEPS, BATCH, LR = 1500, 64, 4e-3
_SMOOTHING, _RECOLORED = 0.05, 0.2
_SCALE, _SHIFT, _TILT = (0.8, 1.15), 0.12, math.radians(5)  # shifts in halves of the picture
_BLUR, _BRIGHT, _VIVID, _SOLID, _NOISE, _GREY = 1.8, (0.8, 1.15), (0.5, 1.4), 0.7, 0.05, 0.1

Progress = Callable[[int, int], None]
"""Told how many steps are done, of how many."""


def train_classifier(
    dataset: ViewDataset, seed: int = 0, steps: int = STEPS, progress: Progress | None = None
) -> Classifier:
    """Train on three quarters of the objects of each kind, and measure on the others.

    Args:
        dataset: rendered objects; their kinds are read from their names.
        seed: of the split, the initial weights and all that is drawn: with equal threads, the result is the same.
        steps: of 64 views each.
        progress: told of each step.
    """
    learnt, held_out = split(dataset.names, seed)
    network = _fitted(dataset, learnt, seed, steps, progress)
    return Classifier(tuple(learnt), network, measure(network, dataset, held_out) | {"seed": seed, "steps": steps})


def _fitted(
    dataset: ViewDataset, learnt: dict[str, list[int]], seed: int, steps: int, progress: Progress | None
) -> KindNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = KindNetwork(len(learnt)).train()
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
        for step in range(steps):
            images, kinds = draw(dataset, learnt, BATCH, generator(seed, "kinds", step))
            loss = functional.cross_entropy(network(images), kinds, label_smoothing=_SMOOTHING)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            rate.step()
            if progress is not None:
                progress(step + 1, steps)
    return network.eval()


def draw(
    dataset: ViewDataset, kinds: dict[str, list[int]], count: int, rng: torch.Generator
) -> tuple[Float[Tensor, "batch size size 3"], Int[Tensor, " batch"]]:
    """Worn views of objects over white, and the numbers of their kinds, drawn by the root of how many there are."""
    sizes = torch.tensor([len(objects) for objects in kinds.values()])
    which = torch.multinomial(sizes.sqrt(), count, replacement=True, generator=rng)
    places, lots = list(kinds.values()), torch.rand(count, generator=rng)
    objects = torch.tensor([places[k][int(lot * len(places[k]))] for k, lot in zip(which, lots, strict=True)])
    lots = torch.rand((count, dataset.pictures.shape[1]), generator=rng) + within(dataset, LEARNT_DEG)[objects]
    mirror = torch.rand(count, generator=rng) < 0.5  # noqa: PLR2004 (a coin)
    rgba = altered(dataset.pictures[objects, lots.argmax(dim=1)], mirror, recolor(count, _RECOLORED, rng)[0])
    return worn(rgba, rng), which


def within(dataset: ViewDataset, elevation_deg: tuple[float, float]) -> Bool[Tensor, "objects views"]:
    """Which views were taken from an elevation in that interval."""
    low, high = map(math.radians, elevation_deg)
    return (dataset.elevation > low) & (dataset.elevation < high)


def worn(rgba: Float[Tensor, "batch size size 4"], rng: torch.Generator) -> Float[Tensor, "batch size size 3"]:
    """Pictures over white, moved, tilted, scaled, half of them blurred, in other strengths of colour, and noisy."""
    count = len(rgba)
    alpha = rgba[..., 3:]
    layers = _moved(torch.cat([rgba[..., :3] * alpha, alpha], dim=-1).permute(0, 3, 1, 2), rng)
    sigma = (_BLUR * (2 * torch.rand(count, 1, generator=rng) - 1)).clamp_min(0.01).expand(-1, 2)
    layers = gaussian_blur2d(layers, (9, 9), sigma, border_type="constant").permute(0, 2, 3, 1)
    solid = (_SOLID + 2 * (1 - _SOLID) * torch.rand(count, 1, 1, 1, generator=rng)).clamp_max(1)
    color, alpha = (layers * solid).split([3, 1], dim=-1)
    grey = color.mean(dim=-1, keepdim=True)
    vivid = _between(_VIVID, count, rng) * (torch.rand(count, 1, 1, 1, generator=rng) > _GREY)
    color = (grey + (color - grey) * vivid) * _between(_BRIGHT, count, rng)
    noise = torch.randn(color.shape, generator=rng) * _between((0, _NOISE), count, rng)
    return (color + 1 - alpha + noise).clamp(0, 1)


def _moved(layers: Float[Tensor, "batch layers size size"], rng: torch.Generator) -> Tensor:
    count = len(layers)
    angle = _TILT * (2 * torch.rand(count, generator=rng) - 1)
    shift = _SHIFT * (2 * torch.rand(count, 2, 1, generator=rng) - 1)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1).view(-1, 2, 2)
    places = torch.cat([turn / _between(_SCALE, count, rng)[..., 0], shift], dim=-1)
    grid = functional.affine_grid(places, list(layers.shape), align_corners=False)
    return functional.grid_sample(layers, grid, align_corners=False)


def _between(interval: tuple[float, float], count: int, rng: torch.Generator) -> Float[Tensor, "batch 1 1 1"]:
    return interval[0] + (interval[1] - interval[0]) * torch.rand(count, 1, 1, 1, generator=rng)


def measure(network: KindNetwork, dataset: ViewDataset, held_out: dict[str, list[int]]) -> dict[str, Any]:
    """Accuracy on objects that were not learnt from, of single views and of an object's views together; confusion."""
    views, counts = within(dataset, JUDGED_DEG), torch.zeros(2, len(held_out), len(held_out), dtype=torch.long)
    for row, places in enumerate(held_out.values()):
        for place in places:
            images = over_white(dataset.pictures[place, views[place]].float() / 255)
            scores = network.log_probabilities(images)
            counts[0, row] += scores.argmax(dim=1).bincount(minlength=len(held_out))
            counts[1, row, scores.mean(dim=0).argmax()] += 1
    of_views, of_objects = (_accuracy(table) for table in counts)
    sizes = counts[0].sum(dim=1)
    return {
        "views": of_views,
        "objects": of_objects,
        "held_out": {"views": int(sizes.sum()), "objects": int(counts[1].sum())},
        "chance": 1 / len(held_out),
        "commonest": int(sizes.max()) / int(sizes.sum()),
        "confusion": counts[0].tolist(),
    }


def _accuracy(confusion: Int[Tensor, "kinds kinds"]) -> dict[str, float]:
    """The share that is right, and the mean over kinds of those shares."""
    right, all_ = confusion.diagonal().double(), confusion.sum(dim=1)
    return {"right": float(right.sum() / all_.sum()), "mean_over_kinds": float((right / all_).mean())}
