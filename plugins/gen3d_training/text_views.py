"""Whether a text-conditioned prior heeds text and camera, in figures and in pictures."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gen3d import rng
from gen3d.cameras import Cameras
from gen3d.guidance import Latents, Prior
from gen3d_training.captions import Captions
from gen3d_training.colors import main_colors
from gen3d_training.dataset import ViewDataset
from gen3d_training.ddim import Sampling, sample

NOISE = (0.4, 0.6, 0.8, 0.95)
"""Timesteps of the figures, as shares of the prior's schedule."""

_SHEET = ((0, 20), (90, 20), (180, 20), (45, 70))
"""Azimuth and elevation of the pictures of each word, degrees."""

_RADIUS = 1.8


@torch.no_grad()
def text_views(prior: Prior, dataset: ViewDataset, captions: Captions) -> dict[str, list[float]]:
    """Mean squared error of one-step clean estimates at each of NOISE, by what the prior is told; one view an object.

    Args:
        prior: loaded; `sources` of its conditions are prompts.
        dataset: the objects.
        captions: of the same objects.
    """
    objects = torch.arange(len(dataset))
    views = objects % dataset.pictures.shape[1]
    rgba = dataset.pictures[objects, views].float() / 255
    colors = main_colors(rgba[..., :3], rgba[..., 3])
    texts = [captions.full(index, names) for index, names in enumerate(colors)]
    cameras, other = (dataset.cameras(objects, v) for v in (views, (views + 1 + objects) % dataset.pictures.shape[1]))
    clean = prior.encode(dataset.images(objects, views))
    noise = torch.randn(clean.shape, generator=rng.generator("text views")).to(clean)
    half = len(texts) // 2
    told = {
        "text and camera": (cameras, texts, "conditional"),
        "another's text": (cameras, texts[half:] + texts[:half], "conditional"),
        "another camera": (other, texts, "conditional"),
        "nothing": (cameras, texts, "unconditional"),
    }
    return {name: _errors(prior, clean, noise, *how) for name, how in told.items()}


def _errors(
    prior: Prior, clean: Latents, noise: Latents, cameras: Cameras, texts: Sequence[str], branch: str
) -> list[float]:
    condition, errors = prior.condition(cameras, texts), []
    for share in NOISE:
        t = torch.full((len(clean),), int(share * len(prior.schedule)), device=clean.device)
        noisy = prior.schedule.add_noise(clean, noise, t)
        epsilon = prior.predict(noisy, t, condition, (branch,))[branch]
        errors.append((prior.schedule.to_clean(epsilon, noisy, t) - clean).square().mean().item())
    return errors


def sheet(prior: Prior, words: Sequence[str], fov: float, how: Sampling, path: Path) -> None:
    """Draw samples of each word from four sides, a row a word, as a PNG file.

    Args:
        prior: loaded; `sources` of its conditions are prompts.
        words: the prompts.
        fov: of the cameras, radians.
        how: the sampler's settings.
        path: of the file.
    """
    azimuth, elevation = torch.tensor(_SHEET).mul(math.pi / 180).unbind(1)
    cameras = Cameras.orbit(azimuth, elevation, _RADIUS, fov, 64)
    like = prior.encode(torch.ones(1, 64, 64, 3))
    rows = [_row(prior, word, cameras, like, how) for word in words]
    Image.fromarray(np.rint(torch.cat(rows).numpy() * 255).astype(np.uint8)).save(path)


def _row(prior: Prior, word: str, cameras: Cameras, like: Latents, how: Sampling) -> Tensor:
    made = sample(prior, prior.condition(cameras, [word]), like, how, rng.generator("sheet", word))
    return torch.cat([*made.cpu()], dim=1)
