"""An input picture, read and prepared: cut out, centred at a ratio of 0.78, on white."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gen3d.cutout import cut_out
from gen3d.errors import BadInput
from gen3d.picture_file import MIN_SIDE, read_rgba

RATIO = 0.78
"""Longest side of the object over the side of the prepared picture (Zero-1-to-3's demo: 200 of 256 pixels)."""

_HALF = 0.5  # alpha above which a pixel counts as the object


@dataclass(frozen=True, eq=False)
class Picture:
    """A square picture of one object.

    Args:
        image: sRGB over white, in [0, 1].
        alpha: coverage by the object, in [0, 1].
    """

    image: Float[Tensor, "height width 3"]
    alpha: Float[Tensor, "height width 1"]

    @classmethod
    def open(cls, path: Path, size: int = 256) -> "Picture":
        """Read and prepare a file.

        The object is what the alpha channel shows, or what stands before a plain background. It is centred by its
        bounding box (alpha above one half) and scaled, up or down, until its longest side is 0.78 of `size` pixels.
        EXIF orientation is honoured; 16-bit, CMYK, palette and grey pictures are converted; an animation is refused.

        Raises:
            BadInput: with the file, the cause and the remedy, for whatever cannot be used.
        """
        place = str(path)
        pixels = np.asarray(read_rgba(path), dtype=np.float32) / np.float32(255)
        colors, alpha = pixels[..., :3], pixels[..., 3]
        if alpha.min() > _HALF:
            colors, alpha = cut_out(colors, place)
        left, top, right, bottom = _bounding_box(alpha, place)
        side = max(right - left, bottom - top) / RATIO
        corner = (left + right - side) / 2, (top + bottom - side) / 2
        return cls._drawn(np.dstack([colors * alpha[..., None], alpha]), corner, side, size)

    def resized(self, size: int) -> "Picture":
        """The picture at another size, antialiased."""
        premultiplied = self.image - (1 - self.alpha)
        layers = torch.cat([premultiplied, self.alpha], dim=-1).detach().cpu().numpy()
        return self._drawn(layers, (0.0, 0.0), float(len(layers)), size)

    @classmethod
    def _drawn(cls, layers: NDArray[np.float32], corner: tuple[float, float], side: float, size: int) -> "Picture":
        """The square of `side` pixels at `corner` (x, y) of premultiplied colours and alpha, `size` pixels wide."""
        x, y = (math.floor(value) for value in corner)
        box = (corner[0] - x, corner[1] - y, corner[0] - x + side, corner[1] - y + side)
        window = _window(layers, x, y, math.ceil(max(box)))
        drawn = torch.from_numpy(np.dstack([_resample(layer, size, box) for layer in np.moveaxis(window, -1, 0)]))
        alpha = drawn[..., 3:].clamp(0, 1)
        # Where alpha overshoots 1, colour does by the same factor.
        color = torch.minimum((drawn[..., :3] / drawn[..., 3:].clamp_min(1)).clamp_min(0), alpha)
        return cls(color + (1 - alpha), alpha)


def _bounding_box(alpha: NDArray[np.float32], place: str) -> tuple[int, int, int, int]:
    """Left, top, right and bottom edge of the object, pixels."""
    rows, columns = np.nonzero((alpha > _HALF).any(axis=1))[0], np.nonzero((alpha > _HALF).any(axis=0))[0]
    if not len(rows):
        cause = "nothing is to be seen in the picture: it is transparent all over"
        raise BadInput(cause, place=place, remedy="save it with the object opaque and only the background transparent")
    width, height = int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1
    if max(width, height) < MIN_SIDE:
        cause = f"the object in the picture is only {width}x{height} pixels"
        raise BadInput(cause, place=place, remedy="use a picture that shows it at 64 pixels or more")
    return int(columns[0]), int(rows[0]), int(columns[0]) + width, int(rows[0]) + height


def _window(layers: NDArray[np.float32], x: int, y: int, side: int) -> NDArray[np.float32]:
    """The square of layers at (x, y), transparent where it reaches over the picture."""
    window = np.zeros((side, side, layers.shape[-1]), np.float32)
    top, left = max(y, 0), max(x, 0)
    part = layers[top : y + side, left : x + side]
    window[top - y : top - y + part.shape[0], left - x : left - x + part.shape[1]] = part
    return window


def _resample(layer: NDArray[np.float32], size: int, box: tuple[float, float, float, float]) -> NDArray[np.float32]:
    # Bicubic, because it overshoots in one lobe only, which the clamp removes: Lanczos would leave ripples in alpha.
    layer = np.ascontiguousarray(layer, dtype=np.float32)
    return np.asarray(Image.fromarray(layer).resize((size, size), Image.Resampling.BICUBIC, box=box))
