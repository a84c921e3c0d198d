"""Read a picture file as upright 8-bit RGBA, however it is stored. Whatever can be wrong with it has a message."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gen3d.errors import BadInput

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "TGA")
MAX_PIXELS = 8192 * 8192
"""More are refused before they are decoded; JPEG is decoded at an eighth of its size first."""
MIN_SIDE = 8
"""Pixels on the longer side that a picture, and the object in it, must have: half of a small sprite."""

_MOVING = frozenset({"GIF", "PNG", "WEBP", "AVIF", "TIFF"})  # frames of MPO are a phone's other exposures
_WORKING_SIZE = 2048
_DAMAGED = "it may be cut short: fetch or save it again, best as PNG"


def read_rgba(path: Path) -> Image.Image:
    """A picture file as straight-alpha RGBA, turned as its EXIF says, at most 2048 pixels on the longer side.

    16-bit, CMYK, palette and grey pictures are converted. Raises BadInput naming the file where it is missing,
    no picture, damaged, too large or too small, or moving.
    """
    place = str(path)
    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata, which is not used, and size, which is checked below
            with Image.open(path, formats=FORMATS) as image:
                return _decode(image, place)
    except BadInput:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(place, "over 170 million pixels") from error
    except Image.UnidentifiedImageError as error:
        cause = f"this is no picture of a kind known here ({', '.join(FORMATS)})"
        raise BadInput(cause, place=place, remedy=_DAMAGED) from error
    except MemoryError as error:
        raise _too_large(place, "more pixels than memory holds") from error
    except Exception as error:  # decoders raise whatever they stumble over in damaged bytes
        reason = str(error) or type(error).__name__
        raise BadInput(f"the picture cannot be decoded ({reason})", place=place, remedy=_DAMAGED) from error


def _check_file(path: Path) -> None:
    place, remedy = str(path), "give the path of a picture of one object, such as photo.png"
    if path.is_dir():
        raise BadInput("this is a folder, not a picture", place=place, remedy=remedy)
    if not path.exists():
        raise BadInput("there is no such file", place=place, remedy=remedy)
    if not path.is_file():
        raise BadInput("this is no ordinary file", place=place, remedy=remedy)
    if path.stat().st_size == 0:
        raise BadInput("the file is empty", place=place, remedy=_DAMAGED)


def _decode(image: Image.Image, place: str) -> Image.Image:
    if max(image.size) < MIN_SIDE:
        cause = f"the picture is {image.width}x{image.height} pixels, too small to show an object"
        raise BadInput(cause, place=place, remedy="use one of at least 64x64 pixels; 256x256 or more is best")
    frames = getattr(image, "n_frames", 1) if image.format in _MOVING else 1
    if frames > 1:
        cause = f"the picture has {frames} frames, and it is not said which one is meant"
        raise BadInput(cause, place=place, remedy="save the frame you mean as a PNG of its own")
    image.draft(None, (_WORKING_SIZE, _WORKING_SIZE))
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(place, f"{image.width}x{image.height} pixels")
    rgba = ImageOps.exif_transpose(_to_rgba(image, place))
    rgba.thumbnail((_WORKING_SIZE, _WORKING_SIZE), Image.Resampling.LANCZOS)  # on premultiplied colours
    return rgba


def _to_rgba(image: Image.Image, place: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _from_16_bit_grey(image)
    if image.mode in {"I", "F"}:
        cause = f"its pixels are 32-bit {'integers' if image.mode == 'I' else 'floats'}, which do not say what white is"
        raise BadInput(cause, place=place, remedy="save it as an 8-bit or 16-bit PNG")
    return image.convert("RGBA")


def _from_16_bit_grey(image: Image.Image) -> Image.Image:
    # Pillow itself would clip at 255 in some versions.
    values = np.asarray(image).astype(np.uint16)
    alpha = np.where(values == image.info.get("transparency", -1), 0, 255)
    grey = np.rint(values / 257.0)
    rgba = Image.fromarray(np.stack([grey, grey, grey, alpha], axis=-1).astype(np.uint8))
    rgba.info.update(image.info)  # the orientation
    return rgba


def _too_large(place: str, size: str) -> BadInput:
    cause = f"the picture is too large: {size}, where {MAX_PIXELS // 10**6} million are the limit"
    return BadInput(cause, place=place, remedy="make it smaller: 2048 pixels on the longer side show as much here")
