"""Cut an object out of an opaque picture whose background is one plain colour."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gen3d.errors import BadInput

Colors = NDArray[np.float32]
Mask = NDArray[np.bool_]

_TOLERANCE = 0.05, 0.15
"""Least and largest distance from the background's colour that still is background: clean PNG, worst JPEG."""
_NOISE = 4.0  # tolerance over the median distance within the border, about five standard deviations
_BORDER_SHARE = 0.75  # of the border that must be background; the object may cover the rest
_SPECK = 1e-3  # parts smaller than this share of the largest are dust
_EDGE = 2  # pixels into the object that may be mixed with background
_NEAR = 4.0  # pixels within which the colour inside stands for the colour at the edge


def cut_out(colors: Colors, place: str) -> tuple[Colors, Colors]:
    """Straight colours (height, width, 3) and alpha (height, width) of the object, in [0, 1].

    The background is flooded from the border, so that parts of the object in its colour stay. Pixels at the edge
    are unmixed: alpha is how far they are from the background towards the colour just inside, which they take.
    Raises BadInput naming `place` where the background is not plain, or nothing lies in front of it.
    """
    background, tolerance = _plain_background(colors, place)
    distance = np.abs(colors - background).max(axis=-1)
    solid = _without_specks(~_flooded(distance < tolerance))
    if not solid.any():
        cause = "nothing is to be seen in the picture: it has one colour all over"
        raise BadInput(cause, place=place, remedy="use a picture of an object that stands out from its background")
    return _unmixed(colors, background, solid)


def _plain_background(colors: Colors, place: str) -> tuple[Colors, float]:
    border = np.concatenate([colors[0], colors[-1], colors[1:-1, 0], colors[1:-1, -1]])
    background = np.median(border, axis=0)
    distance = np.abs(border - background).max(axis=-1)
    tolerance = max(_NOISE * float(np.median(distance)), _TOLERANCE[0])
    if tolerance > _TOLERANCE[1] or (distance < tolerance).mean() < _BORDER_SHARE:
        raise BadInput(
            "the background of the picture is neither transparent nor one plain colour",
            place=place,
            remedy="cut the object out and save it as PNG with transparency (rembg or any picture editor does it)",
        )
    return background, tolerance


def _flooded(alike: Mask) -> Mask:
    """The connected parts of `alike` that reach the border."""
    labels, _ = ndimage.label(alike)
    reached = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return np.isin(labels, reached[reached > 0])


def _without_specks(solid: Mask) -> Mask:
    labels, count = ndimage.label(solid, structure=np.ones((3, 3)))
    if count == 0:
        return solid
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= _SPECK * sizes.max())[labels] & solid


def _unmixed(colors: Colors, background: Colors, solid: Mask) -> tuple[Colors, Colors]:
    """Solve color = alpha * inside + (1 - alpha) * background in a band along the edge."""
    inside = ndimage.binary_erosion(solid, iterations=_EDGE, border_value=1)
    alpha = solid.astype(np.float32)
    if not inside.any():
        return colors, alpha
    away, (rows, columns) = ndimage.distance_transform_edt(~inside, return_indices=True)
    band = ndimage.binary_dilation(solid) & ~inside & (away <= _NEAR)
    pure = colors[rows[band], columns[band]]
    contrast = pure - background
    power = np.square(contrast).sum(axis=-1)
    mixed = power > _TOLERANCE[1] ** 2  # an inside in the background's colour tells nothing about the edge
    share = ((colors[band] - background) * contrast).sum(axis=-1) / np.maximum(power, _TOLERANCE[0] ** 2)
    alpha[band] = np.where(mixed, share.clip(0, 1), alpha[band])
    straight = colors.copy()
    straight[band] = np.where(mixed[:, None], pure, colors[band])
    return straight, alpha
