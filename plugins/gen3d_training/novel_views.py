"""How well a prior makes unseen views of unseen objects, beside two ways of not trying."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from kornia.metrics import ssim
from torch import Tensor

from gen3d import rng
from gen3d.cameras import direction
from gen3d.guidance import Prior
from gen3d_training.dataset import ViewDataset
from gen3d_training.ddim import Sampling, sample

VIEWS = 12
_FAR = 4
_USUAL_ELEVATION = math.radians(20)
_WINDOW = 11

PROTOCOL = (
    f"{VIEWS} views an object, {_FAR} of them those farthest from the input; the input is the view nearest to 20 "
    "degrees of elevation; PSNR and SSIM (Gaussian window of 11, sigma 1.5) of whole pictures over white, averaged "
    "over pictures; mean colour: of the input picture"
)


@dataclass(frozen=True)
class Figures:
    """Means over all pictures.

    Args:
        psnr: decibels, by kind of prediction.
        ssim: structural similarity, by kind of prediction.
        objects: how many.
    """

    psnr: dict[str, float]
    ssim: dict[str, float]
    objects: int

    @property
    def margin(self) -> float:
        """Decibels by which the mean of the samples beats the better baseline."""
        return self.psnr["mean_of_samples"] - max(self.psnr["input_repeated"], self.psnr["mean_color"])


def fixed_views(dataset: ViewDataset, index: int) -> tuple[int, Int[Tensor, " views"]]:
    """The input view of an object, and the views to make: the farthest, and others spread over what is left."""
    elevation = dataset.elevation[index]
    source = int((elevation - _USUAL_ELEVATION).abs().argmin())
    towards = direction(dataset.azimuth[index], elevation)
    order = torch.argsort(towards @ towards[source])  # farthest first
    order = order[order != source]
    rest = order[_FAR:]
    spread = torch.linspace(0, len(rest) - 1, VIEWS - _FAR).round().long()
    return source, torch.cat([order[:_FAR], rest[spread]])


@torch.no_grad()
def novel_views(
    prior: Prior,
    dataset: ViewDataset,
    how: Sampling,
    samples: int = 4,
    show: Callable[[Tensor, Tensor, Tensor], None] = lambda *_: None,
) -> Figures:
    """Make the fixed views of every object and measure them.

    Args:
        prior: bound or loaded.
        dataset: the held-out objects.
        how: the sampler's settings.
        samples: how many samples of each view are averaged.
        show: called with each object's input, wanted views, and samples ("samples views size size 3").
    """
    sums: dict[str, Tensor] = {}
    for index, name in enumerate(dataset.names):
        source, targets = fixed_views(dataset, index)
        rows = torch.full_like(targets, index)
        wanted, given = dataset.images(rows, targets), dataset.images(rows[:1], torch.tensor([source]))[0]
        taken = dataset.cameras(rows[:1], torch.tensor([source]))
        condition = prior.condition(dataset.cameras(rows, targets), [(given, taken)])
        batch = type(condition).concatenate([condition] * samples)
        draw = rng.generator("novel views", name)
        made = sample(prior, batch, prior.encode(given[None]), how, draw).cpu().reshape(samples, *wanted.shape)
        show(given, wanted, made)
        kinds = {
            "one_sample": made[0],
            "mean_of_samples": made.mean(dim=0),
            "input_repeated": given.expand_as(wanted),
            "mean_color": given.mean(dim=(0, 1)).expand_as(wanted),
        }
        for kind, pictures in kinds.items():
            sums[kind] = sums.get(kind, torch.zeros(2)) + _measure(pictures, wanted)
    psnr, similarity = ({kind: float(total[i]) / len(dataset) for kind, total in sums.items()} for i in range(2))
    return Figures(psnr, similarity, len(dataset))


def _measure(
    made: Float[Tensor, "views size size 3"], wanted: Float[Tensor, "views size size 3"]
) -> Float[Tensor, "2"]:
    """Mean PSNR and SSIM over pictures."""
    error = (made - wanted).square().mean(dim=(1, 2, 3)).clamp_min(1e-10)
    alike = ssim(made.permute(0, 3, 1, 2), wanted.permute(0, 3, 1, 2), _WINDOW)
    return torch.stack([-10 * error.log10().mean(), alike.mean()])
