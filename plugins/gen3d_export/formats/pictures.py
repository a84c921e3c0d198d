"""The factors and the encoded pictures of a material."""

import io
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

METALLIC, ROUGHNESS = 0.0, 0.9
"""Where there is no picture of them. Always written: glTF takes an absent factor for 1, a mirror of metal."""

QUALITY = 90
"""Of JPEG, where size counts more than the last bit."""

Encode = Callable[[np.ndarray], bytes]


def png(picture: UInt8[np.ndarray, "height width *channels"]) -> bytes:
    """Lossless."""
    return _encoded(picture, "PNG")


def jpeg(picture: UInt8[np.ndarray, "height width *channels"]) -> bytes:
    """A fifth of a PNG's size, without halving the resolution of colours."""
    return _encoded(picture, "JPEG", quality=QUALITY, subsampling=0)


def _encoded(picture: np.ndarray, kind: str, **options: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, kind, **options)
    return stream.getvalue()


def mime(data: bytes) -> str:
    """The type of an encoded picture."""
    return "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
