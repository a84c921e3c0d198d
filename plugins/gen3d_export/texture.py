"""Pictures on surfaces: sRGB, and looking up between texels."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

Picture = UInt8[np.ndarray, "height width 3"]


def to_linear(srgb: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """IEC 61966-2-1, in [0, 1]."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004 (the standard's)


def to_srgb(linear: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """The inverse of `to_linear`."""
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)  # noqa: PLR2004


LINEAR = (np.arange(256) / 255).astype(np.float32)
"""What each byte of a linear picture means."""

SRGB = to_linear(np.arange(256) / 255).astype(np.float32)
"""What each byte of an sRGB picture means, linear."""


def reduced(picture: Picture, texels: float) -> UInt8[np.ndarray, "rows columns 3"]:
    """The mipmap that is to be looked up `texels` texels apart: the coarsest in which those are not further than 1."""
    level = min(int(np.log2(max(texels, 1))), int(np.log2(min(picture.shape[:2]))))
    return picture if level < 1 else np.asarray(Image.fromarray(picture).reduce(2**level))


def look_up(
    picture: Picture, uv: Float[np.ndarray, "points 2"], meaning: Float[np.ndarray, "256"]
) -> Float[np.ndarray, "points 3"]:
    """Bilinear between texel centres, v upwards, repeated outside of [0, 1]; of what the bytes mean, as GPUs do."""
    height, width = picture.shape[:2]
    x, y = uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, down = (x - left)[:, None], (y - top)[:, None]

    def texel(row: np.ndarray, column: np.ndarray) -> Float[np.ndarray, "points 3"]:
        return meaning[picture[row % height, column % width]]

    upper = texel(top, left) * (1 - right) + texel(top, left + 1) * right
    lower = texel(top + 1, left) * (1 - right) + texel(top + 1, left + 1) * right
    return upper * (1 - down) + lower * down
