"""Textual inversion: words that stand for a picture (Gal et al. 2022, "An Image is Worth One Word")."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from gen3d.weights.codecs import to_latents
from gen3d_stable_diffusion.networks import VIEW_WIDTH, Networks
from gen3d_stable_diffusion.sdxl import AnyEncoder

SMALLEST = 0.7
"""Side of the smallest crop, as a share of the picture's shorter side."""


@torch.no_grad()
def random_words(encoder: AnyEncoder, count: int, rng: torch.Generator) -> Float[Tensor, "words context"]:
    """Embeddings drawn from a Gaussian around those of the words that the encoder knows."""
    table = encoder.embeddings
    noise = torch.randn(count, table.shape[1], generator=rng).to(table)
    return table.mean(dim=0) + table.std(dim=0) * noise


def learn_words(
    networks: Networks,
    encoder: AnyEncoder,
    words: Float[Tensor, "words context"],
    picture: Float[Tensor, "height width 3"],
    text: str,
    rng: torch.Generator,
    *,
    steps: int,
    batch: int,
    lr: float,
    told: Callable[[int, float], None],
) -> None:
    """Change words, in place, until the frozen network denoises a picture best (section 3.2, equation 2).

    By Adam, on crops of the picture, mirrored or not, each with its own noise at its own timestep.

    Args:
        networks: the network; one that sees cameras is told none.
        encoder: reads `words` where the text writes `learnt` ones.
        words: where to start.
        picture: sRGB in [0, 1].
        text: that the network is told.
        rng: of crops, noise and timesteps.
        steps: of the optimizer.
        batch: crops a step.
        lr: of the optimizer.
        told: is called after each step with its number and its loss.
    """
    words.requires_grad_()
    optimizer = torch.optim.Adam([words], lr)
    for step in range(steps):
        crops = random_crops(picture, batch, networks.picture_size, rng)
        loss = denoising_loss(networks, crops, encoder([text]), rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told(step, loss.item())
    words.requires_grad_(False)  # noqa: FBT003 (torch's own tensors know no keyword)


def denoising_loss(
    networks: Networks,
    pictures: Float[Tensor, "batch height width 3"],
    text: Float[Tensor, "1 tokens context"],
    rng: torch.Generator,
) -> Float[Tensor, ""]:
    """Mean squared error of the network's own output, at uniform timesteps, told a text and no camera."""
    with torch.no_grad():
        clean = to_latents(networks.codec, pictures, networks.picture_size)
    schedule, prediction = networks.diffusion.schedule().to(clean.device), networks.diffusion.prediction
    noise = torch.randn(clean.shape, generator=rng).to(clean)
    t = torch.randint(len(schedule), (len(clean),), generator=rng).to(clean.device)
    nowhere = clean.new_zeros(len(clean), VIEW_WIDTH)
    noisy = schedule.add_noise(clean, noise, t)
    output = networks(noisy, t, text.expand(len(clean), -1, -1), nowhere).float()
    target = {"epsilon": noise, "sample": clean, "v_prediction": schedule.velocity(clean, noise, t)}[prediction]
    return (output - target).square().mean()


def random_crops(
    picture: Float[Tensor, "height width 3"], count: int, size: int, rng: torch.Generator
) -> Float[Tensor, "count size size 3"]:
    """Square parts of a picture, each of its own size and place, every second one mirrored on average."""
    crops, (height, width) = [], picture.shape[:2]
    for share, down, across, coin in torch.rand(count, 4, generator=rng).tolist():
        side = round(min(height, width) * (SMALLEST + (1 - SMALLEST) * share))
        top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
        crop = picture[top : top + side, left : left + side].permute(2, 0, 1)[None]
        crop = interpolate(crop, (size, size), mode="bilinear", align_corners=False, antialias=True)
        crops.append(crop.flip(-1) if coin < 0.5 else crop)  # noqa: PLR2004 (a coin)
    return torch.cat(crops).permute(0, 2, 3, 1)
