"""What the guidances saw of the object: the step's own views, kept a few times a stage."""

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from gen3d import Cameras, Stage, Step, Views
from gen3d.checkpoint import write_atomically

FOLDER = "seen"
_TIMES, _SHORTEST = 6, 25  # a stage, and steps between two
_VIEWS, _SIZE, _GAP = 4, 128, 4
_LATENT_RANGE = 8.0  # of latents, from black to white


def due(step: Step) -> bool:
    """Whether this step's views are kept: a sixth of the stage apart, and 25 steps at least; and the last ones."""
    done = step.index + 1
    return done == step.total or done % max(step.total // _TIMES, _SHORTEST) == 0


def save_seen(run: Path, stage: Stage, step: Step, views: Mapping[Cameras, Views]) -> Path | None:
    """Write `seen/STAGE_000120.png`, the first views of the step in a row; None where there was only the input's.

    Latents are shown in false colours: decoding them is what the step was spared.
    """
    batches = [view for cameras, view in views.items() if cameras is not stage.reference]
    if not batches:
        return None
    tiles = [_colors(image[None]) for view in batches for image in view.image.detach()][:_VIEWS]
    stream = io.BytesIO()
    _row(tiles).save(stream, "PNG")
    path = run / FOLDER / f"{step.stage}_{step.index + 1:06d}.png"
    write_atomically(path, stream.getvalue())
    return path


def _colors(image: Float[Tensor, "1 height width channels"]) -> Float[Tensor, "3 rows columns"]:
    """As tall as the tiles at most; latents are enlarged, each to a square of its own."""
    channels = image.shape[-1]
    latent = channels != 3  # noqa: PLR2004 (red, green, blue)
    shown = 0.5 + image[..., [0, 1 % channels, 2 % channels]] / _LATENT_RANGE if latent else image
    height, width = image.shape[1:3]
    size = (_SIZE, max(round(_SIZE * width / height), 1))
    pictures = shown.float().cpu().movedim(-1, 1)
    if latent or height < _SIZE:
        return interpolate(pictures, size)[0]
    return interpolate(pictures, size, mode="bilinear", antialias=True)[0]


def _row(tiles: list[Float[Tensor, "3 rows columns"]]) -> Image.Image:
    gap = torch.ones(3, _SIZE, _GAP)
    joined = torch.cat([piece for tile in tiles for piece in (gap, tile)][1:], dim=-1)
    pixels = (255 * torch.nan_to_num(joined, nan=0.0).clamp(0, 1)).round().to(torch.uint8)
    return Image.fromarray(pixels.movedim(0, -1).contiguous().numpy())
