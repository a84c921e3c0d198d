"""Colours for the texels that no chart covers."""

import numpy as np
from jaxtyping import Bool, Int, Shaped
from scipy import ndimage

Nearest = tuple[Int[np.ndarray, "height width"], Int[np.ndarray, "height width"]]
"""Row and column of the nearest covered texel, for each."""


def nearest_covered(covered: Bool[np.ndarray, "height width"]) -> Nearest:
    """For every texel the nearest one that is covered; itself where it is."""
    row, column = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return row, column


def bleed(
    image: Shaped[np.ndarray, "height width *channels"], covered: Bool[np.ndarray, "height width"]
) -> Shaped[np.ndarray, "height width *channels"]:
    """The image with every texel that is not covered set to the nearest one that is: mipmaps mix in no void."""
    return image[nearest_covered(covered)]
