"""Whatever is wrong with a picture: a message that names the file, soon, and never a traceback."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from fuzzing import damaged_bytes, often, told
from gen3d.picture import Picture


def drawn(mode: str = "RGBA", size: int = 64) -> Image.Image:
    """A disc, cut out where the mode can show that."""
    image = Image.new("RGBA", (size, size), (255, 255, 255, 0 if mode == "RGBA" else 255))
    ImageDraw.Draw(image).ellipse((size // 5, size // 4, size * 3 // 4, size * 3 // 4), fill=(200, 60, 30, 255))
    return image.convert(mode)


def stored(image: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its right checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int = 8, kind: int = 6, *, data: bytes = b"", interlace: int = 0) -> bytes:
    """A PNG whose header says whatever it says."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


FILES = {
    "png": stored(drawn(), "PNG"),
    "palette": stored(drawn("P"), "PNG"),
    "16-bit": png(32, 32, 16, 6, data=(b"\0" + bytes(range(256))) * 32),
    "grey 16-bit": stored(Image.new("I;16", (32, 32), 40_000), "PNG"),
    "jpeg": stored(drawn("RGB"), "JPEG"),
    "progressive jpeg": stored(drawn("RGB"), "JPEG", progressive=True),
    "cmyk": stored(drawn("CMYK"), "JPEG"),
    "turned": stored(
        drawn("RGB"), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    ),
    "webp": stored(drawn(), "WEBP", lossless=True),
    "lossy webp": stored(drawn("RGB"), "WEBP"),
    "gif": stored(drawn("P"), "GIF"),
    "animated gif": stored(drawn("P"), "GIF", save_all=True, append_images=[drawn("P", 64).rotate(90)]),
    "animated webp": stored(drawn(), "WEBP", save_all=True, append_images=[drawn().rotate(90)]),
    "tiff": stored(drawn(), "TIFF", compression="tiff_lzw"),
    "bmp": stored(drawn("RGB"), "BMP"),
    "tga": stored(drawn(), "TGA"),
}


def message(path: Path, content: bytes) -> str:
    """What a person is told of a picture."""
    path.write_bytes(content)
    shown = told(lambda: Picture.open(path))
    assert not shown or str(path) in shown
    return shown


@often(1_000, 60)
@given(damaged_bytes(*FILES.values()), st.sampled_from([".png", ".jpg", ".webp", "", ".é"]))
def test_a_damaged_picture(tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str) -> None:
    message(tmp_path_factory.getbasetemp() / f"picture{suffix}", content)


@often(200, 30)
@given(
    st.builds(
        png,
        st.sampled_from([0, 1, 7, 8, 64, 8192, 8193, 30_000, 2**31 - 1, 2**32 - 1]),
        st.sampled_from([0, 1, 7, 8, 64, 8192, 8193, 30_000, 2**31 - 1, 2**32 - 1]),
        st.sampled_from([0, 1, 2, 4, 8, 16, 32, 255]),
        st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7]),
        data=st.sampled_from([b"", b"\0" * 5000, b"\xff" * 100_000]),
        interlace=st.integers(0, 2),
    )
)
def test_a_png_with_a_header_of_anything(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    message(tmp_path_factory.getbasetemp() / "header.png", content)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (lambda: b"", "the file is empty"),
        (lambda: b"\x89PNG\r\n\x1a\n", "no picture of a kind known here|cannot be decoded"),
        (lambda: stored(drawn(size=1), "PNG"), "1x1 pixels, too small"),
        (lambda: png(30_000, 30_000, data=b"\0"), "too large: over 170 million pixels"),
        (lambda: png(9_000, 9_000, data=b"\0"), "too large: 9000x9000 pixels"),
        (lambda: FILES["animated gif"], "has 2 frames"),
        (lambda: FILES["animated webp"], "has 2 frames"),
        (lambda: FILES["png"][:-40], "cannot be decoded"),
        (lambda: FILES["jpeg"][:-40], "cannot be decoded"),
        (lambda: b"GIF89a" + bytes(5), "cannot be decoded|no picture of a kind"),
        (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture of a kind known here"),
        (lambda: b"%PDF-1.7", "no picture of a kind known here"),
    ],
)
def test_the_message_says_what_is_wrong(tmp_path: Path, content: Callable[[], bytes], cause: str) -> None:
    import re

    shown = message(tmp_path / "p.png", content())
    assert re.search(cause, shown), shown


@pytest.mark.parametrize("name", [name for name in FILES if "animated" not in name and "16-bit" not in name])
def test_the_files_themselves_can_be_read(tmp_path: Path, name: str) -> None:
    assert not message(tmp_path / "p", FILES[name])
