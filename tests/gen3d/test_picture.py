"""Preparing an input picture: what can be used is, and what cannot be gets one message."""

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from gen3d.errors import BadInput, Gen3dError
from gen3d.picture import RATIO, Picture

RED, BLUE = (200, 30, 20), (20, 40, 190)


def cut_out_sprite(width: int = 120, height: int = 90) -> Image.Image:
    """A red 60x30 block with a blue left half on transparent black, off the centre."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 20, 69, 49), fill=(*RED, 255))
    draw.rectangle((10, 20, 39, 49), fill=(*BLUE, 255))
    return image


def on_plain(background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """The same before a plain background, opaque."""
    image = Image.new("RGB", (120, 90), background)
    sprite = cut_out_sprite()
    image.paste(sprite, mask=sprite.getchannel("A"))
    return image


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, color_type: int, rows: bytes) -> bytes:
    """A PNG of kinds that Pillow does not write: 16-bit colour, and sizes that nobody wants to fill."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")


def object_box(picture: Picture) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of alpha above one half."""
    rows, columns = torch.nonzero(picture.alpha[..., 0] > 0.5, as_tuple=True)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def check_sprite(picture: Picture, tolerance: float = 0.02) -> None:
    """The sprite, prepared: centred 100x50 block in 128x128, blue left, red right, white around."""
    assert picture.image.shape == (128, 128, 3)
    assert picture.alpha.shape == (128, 128, 1)
    assert picture.image.dtype == picture.alpha.dtype == torch.float32
    left, top, right, bottom = object_box(picture)
    assert abs(right - left - RATIO * 128) <= 1
    assert abs(bottom - top - RATIO * 64) <= 1
    assert abs((left + right) / 2 - 64) <= 0.5
    assert abs((top + bottom) / 2 - 64) <= 0.5
    for x, color in ((40, BLUE), (88, RED)):
        torch.testing.assert_close(picture.image[64, x], torch.tensor(color) / 255, atol=tolerance, rtol=0)
    assert (picture.image[:30] == 1).all()
    assert (picture.image[:, :10] == 1).all()


def refused(path: Path) -> BadInput:
    """The error of a picture that cannot be used; every one names the file, a cause and a remedy."""
    with pytest.raises(BadInput) as caught:
        Picture.open(path)
    error = caught.value
    assert error.place == str(path)
    assert error.cause
    assert error.remedy
    assert error.exit_code == 2
    return error


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff", ".tga", ".avif"])
def test_a_cut_out_picture_is_centred_and_scaled(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sprite{suffix}"
    cut_out_sprite().save(path, lossless=True, quality=100)
    check_sprite(Picture.open(path, 128), 0.05 if suffix == ".avif" else 0.02)


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (60, 160, 90)])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif"])
def test_a_plain_background_is_cut_away(tmp_path: Path, suffix: str, background: tuple[int, int, int]) -> None:
    path = tmp_path / f"photo{suffix}"
    on_plain(background).resize((480, 360), Image.Resampling.NEAREST).save(path)
    check_sprite(Picture.open(path, 128), 0.06)


def test_enlarging_and_shrinking_keep_a_clean_edge(tmp_path: Path) -> None:
    cut_out_sprite().save(tmp_path / "sprite.png")
    for size in (32, 512):
        picture = Picture.open(tmp_path / "sprite.png", size)
        row = picture.alpha[size // 2, :, 0]
        assert ((row == 0) | (row == 1)).float().mean() > 0.9
        # No dark fringe, though the transparent pixels are black: at the edge blue only mixes with white.
        edge = picture.image[size // 2, : size // 2]
        expected = 1 - row[: size // 2, None] * (1 - torch.tensor(BLUE) / 255)
        torch.testing.assert_close(edge[: size // 3], expected[: size // 3], atol=0.01, rtol=0)


def test_a_hole_in_the_background_colour_stays(tmp_path: Path) -> None:
    image = on_plain()
    ImageDraw.Draw(image).rectangle((50, 30, 59, 39), fill=(255, 255, 255))
    image.save(tmp_path / "window.png")
    picture = Picture.open(tmp_path / "window.png", 128)
    assert picture.alpha[64, 90] == 1
    assert (picture.image[64, 90] > 0.99).all()


def test_the_edge_against_a_background_is_unmixed(tmp_path: Path) -> None:
    """An antialiased red disc on green: its alpha is that of the disc, and no green is left on white."""
    coverage = Image.new("L", (1600, 1600), 0)
    ImageDraw.Draw(coverage).ellipse((200, 200, 1399, 1399), fill=255)
    coverage = coverage.resize((200, 200), Image.Resampling.BOX)
    disc = Image.new("RGB", (200, 200), RED)
    photo = Image.composite(disc, Image.new("RGB", (200, 200), (30, 220, 30)), coverage)
    photo.save(tmp_path / "photo.png")
    disc.putalpha(coverage)
    disc.save(tmp_path / "disc.png")
    found, true = Picture.open(tmp_path / "photo.png"), Picture.open(tmp_path / "disc.png")
    assert (found.alpha - true.alpha).abs().max() < 0.1
    assert (found.image - true.image).abs().max() < 0.1


def test_a_noisy_background_and_dust_do_not_count(tmp_path: Path) -> None:
    pixels = np.asarray(on_plain((200, 198, 190)).resize((480, 360), Image.Resampling.NEAREST)).astype(np.float64)
    pixels += np.random.default_rng(0).normal(0, 3, pixels.shape)
    pixels[5, 470] = 0
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "noisy.png")
    check_sprite(Picture.open(tmp_path / "noisy.png", 128), 0.06)


def test_an_object_may_touch_the_border(tmp_path: Path) -> None:
    image = Image.new("RGB", (100, 100), (255, 255, 255))
    ImageDraw.Draw(image).rectangle((30, 40, 69, 99), fill=RED)
    image.save(tmp_path / "standing.png")
    left, top, right, bottom = object_box(Picture.open(tmp_path / "standing.png", 128))
    assert (top, bottom) == (14, 114)
    assert abs(right - left - 100 * 40 / 60) <= 1
    assert abs((left + right) / 2 - 64) <= 0.5


def test_a_small_object_is_enlarged(tmp_path: Path) -> None:
    image = Image.new("RGB", (400, 300), (255, 255, 255))
    ImageDraw.Draw(image).rectangle((380, 280, 391, 285), fill=BLUE)
    image.save(tmp_path / "small.png")
    left, _, right, _ = object_box(Picture.open(tmp_path / "small.png", 128))
    assert abs(right - left - RATIO * 128) <= 2


def test_a_prepared_picture_is_prepared_to_itself(tmp_path: Path) -> None:
    cut_out_sprite().save(tmp_path / "sprite.png")
    once = Picture.open(tmp_path / "sprite.png", 256)
    rgb = (once.image * 255).round().to(torch.uint8).numpy()
    Image.fromarray(rgb).save(tmp_path / "prepared.png")
    twice = Picture.open(tmp_path / "prepared.png", 256)
    assert (once.image - twice.image).abs().mean() < 0.003


def test_resized_is_antialiased_on_premultiplied_colour(tmp_path: Path) -> None:
    cut_out_sprite().save(tmp_path / "sprite.png")
    picture = Picture.open(tmp_path / "sprite.png", 256)
    same = picture.resized(256)
    torch.testing.assert_close(same.image, picture.image, atol=1e-5, rtol=0)
    torch.testing.assert_close(same.alpha, picture.alpha, atol=1e-5, rtol=0)
    small = picture.resized(32)
    assert small.image.shape == (32, 32, 3)
    assert abs(small.alpha.mean() - picture.alpha.mean()) < 0.005
    torch.testing.assert_close(small.image.mean((0, 1)), picture.image.mean((0, 1)), atol=0.01, rtol=0)
    assert picture.resized(700).image.shape == (700, 700, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = on_plain()
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.jpg", quality=95, exif=exif)
    check_sprite(Picture.open(tmp_path / "turned.jpg", 128), 0.06)


def test_a_palette_with_a_transparent_entry(tmp_path: Path) -> None:
    sprite = cut_out_sprite()
    palette = sprite.convert("RGB").quantize(4, dither=Image.Dither.NONE)
    pixels = np.where(np.asarray(sprite)[..., 3] > 0, np.asarray(palette), 7).astype(np.uint8)
    indexed = Image.frombytes("P", sprite.size, pixels.tobytes())
    indexed.putpalette([*(palette.getpalette() or [])[:12], *[255, 0, 255] * 4])
    indexed.save(tmp_path / "palette.png", transparency=7)
    check_sprite(Picture.open(tmp_path / "palette.png", 128))


def test_a_cmyk_jpeg(tmp_path: Path) -> None:
    on_plain().convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    check_sprite(Picture.open(tmp_path / "print.jpg", 128), 0.06)


@pytest.mark.parametrize("mode", ["LA", "La", "1"])
def test_grey_pictures(tmp_path: Path, mode: str) -> None:
    grey = Image.new("LA", (100, 100), (0, 0))
    grey.paste((100, 255), (20, 30, 80, 70))
    if mode == "1":
        grey = Image.new("L", (100, 100), 255)
        grey.paste(0, (20, 30, 80, 70))
    grey.convert("LA" if mode == "La" else mode).save(tmp_path / "grey.png")
    picture = Picture.open(tmp_path / "grey.png", 128)
    expected = 0.0 if mode == "1" else 100 / 255
    torch.testing.assert_close(picture.image[64, 64], torch.full((3,), expected), atol=0.01, rtol=0)
    assert object_box(picture) == (14, 31, 114, 97)


@pytest.mark.parametrize("color_type", [0, 2, 4, 6], ids=["grey", "rgb", "grey-alpha", "rgba"])
def test_16_bit_png(tmp_path: Path, color_type: int) -> None:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color_type]
    pixels = np.full((100, 100, channels), 65535, np.uint16)
    pixels[..., -1] = 65535 if channels in (1, 3) else 0
    pixels[30:70, 20:80, :] = 30000
    if channels in (2, 4):
        pixels[30:70, 20:80, -1] = 65535
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    (tmp_path / "deep.png").write_bytes(png(100, 100, 16, color_type, rows))
    picture = Picture.open(tmp_path / "deep.png", 128)
    torch.testing.assert_close(picture.image[64, 64], torch.full((3,), 30000 / 65535), atol=0.005, rtol=0)
    assert abs(picture.alpha.mean() - 100 * 66 / 128**2) < 0.01


def test_an_opaque_alpha_channel_counts_as_none(tmp_path: Path) -> None:
    image = on_plain()
    image.putalpha(255)
    image.save(tmp_path / "opaque.png")
    check_sprite(Picture.open(tmp_path / "opaque.png", 128), 0.06)


def test_a_large_jpeg_is_reduced_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its 19 megapixels are more than the limit, the quarter that is decoded is not."""
    monkeypatch.setattr("gen3d.picture_file.MAX_PIXELS", 5_000_000)
    photo = Image.new("L", (4500, 4200), 255)
    photo.paste(80, (500, 1000, 3500, 2500))
    photo.save(tmp_path / "large.jpg", quality=50)
    picture = Picture.open(tmp_path / "large.jpg", 128)
    assert object_box(picture) == (14, 39, 114, 89)
    torch.testing.assert_close(picture.image[64, 64], torch.full((3,), 80 / 255), atol=0.01, rtol=0)


def _write(name: str, data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


def _folder(folder: Path) -> Path:
    return folder


def _save(name: str, make: Callable[[], Image.Image], **options: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        make().save(folder / name, **options)
        return folder / name

    return write


def _truncated(suffix: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"cut{suffix}"
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 4), np.uint8)
        Image.fromarray(noise if suffix != ".jpg" else noise[..., :3]).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return write


def _busy() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    return Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)


def _frames(suffix: str) -> Callable[[Path], Path]:
    first, second = on_plain(), on_plain(BLUE)
    return _save(f"moving{suffix}", lambda: first, save_all=True, append_images=[second])


UNUSABLE = {
    "missing": (lambda folder: folder / "none.png", "no such file"),
    "folder": (_folder, "folder"),
    "empty": (_write("empty.png", b""), "empty"),
    "text": (_write("notes.png", b"Dear diary, this is not a picture at all."), "no picture"),
    "heic": (_write("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "no picture"),
    "only a signature": (_write("stub.png", b"\x89PNG\r\n\x1a\n"), "no picture"),
    "truncated png": (_truncated(".png"), "cannot be decoded"),
    "truncated jpeg": (_truncated(".jpg"), "cannot be decoded"),
    "truncated webp": (_truncated(".webp"), "cannot be decoded|no picture"),
    "1 pixel": (_save("dot.png", lambda: Image.new("RGB", (1, 1))), "1x1"),
    "400 megapixels": (_write("huge.png", png(20000, 20000, 8, 2, b"")), "too large"),
    "100 megapixels": (_write("huge.png", png(10000, 10000, 8, 2, b"")), "too large: 10000x10000"),
    "gif": (_frames(".gif"), "2 frames"),
    "apng": (_frames(".png"), "2 frames"),
    "webp": (_frames(".webp"), "2 frames"),
    "busy": (_save("photo.jpg", _busy), "background"),
    "transparent": (_save("ghost.png", lambda: Image.new("RGBA", (64, 64), (255, 0, 0, 0))), "transparent"),
    "one colour": (_save("wall.png", lambda: Image.new("RGB", (64, 64), RED)), "one colour"),
    "speck": (_save("speck.png", lambda: cut_out_sprite().resize((12, 9), Image.Resampling.NEAREST)), "6x3"),
    "floats": (_save("depth.tiff", lambda: Image.new("F", (64, 64), 0.5)), "32-bit"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_picture_gets_a_message(tmp_path: Path, case: str) -> None:
    make, cause = UNUSABLE[case]
    start = time.process_time()
    error = refused(make(tmp_path))
    assert any(part in error.cause for part in cause.split("|")), error.cause
    assert time.process_time() - start < 2


def test_a_busy_photo_is_told_how_to_be_cut_out(tmp_path: Path) -> None:
    _busy().save(tmp_path / "photo.jpg")
    remedy = refused(tmp_path / "photo.jpg").remedy
    assert "transparency" in remedy
    assert "rembg" in remedy


def _sprite_bytes(folder: Path, suffix: str) -> bytes:
    path = folder / f"seed{suffix}"
    (cut_out_sprite() if suffix == ".png" else on_plain()).save(path)
    return path.read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from([".png", ".jpg", ".gif", ".webp", ".tiff"]))
def test_damaged_pictures_never_raise_anything_else(tmp_path: Path, data: st.DataObject, suffix: str) -> None:
    damaged = bytearray(_sprite_bytes(tmp_path, suffix))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(1, len(damaged)))
    _opens_or_refuses(tmp_path / f"damaged{suffix}", bytes(damaged[:end]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_random_bytes_never_raise_anything_else(tmp_path: Path, data: bytes) -> None:
    _opens_or_refuses(tmp_path / "random.png", data)


def _opens_or_refuses(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        picture = Picture.open(path, 32)
    except Gen3dError as error:
        assert error.place == str(path)  # noqa: PT017 (either outcome is right)
    else:
        assert torch.isfinite(picture.image).all()
        assert 0 <= picture.image.min() <= picture.image.max() <= 1
