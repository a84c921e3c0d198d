"""The contact sheet, the turntable and the previews."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from gen3d.testing import ToyField, ToyRenderer, toy_stage
from gen3d_monitor.drawing import around, draw
from gen3d_monitor.pictures import Tile, contact_sheet, save_picture, tiled, turntable
from gen3d_monitor.preview import SIZE, VIEWS, due, save_preview

GAP, CAPTION = 8, 20


def tiles_of(sheet: Image.Image, size: int) -> list[list[np.ndarray]]:
    """The tiles of a captioned sheet."""
    pixels = np.asarray(sheet)
    across, down = size + GAP, size + GAP + CAPTION
    rows, columns = pixels.shape[0] // down, pixels.shape[1] // across
    corners = [[(y * down + GAP + CAPTION, x * across + GAP) for x in range(columns)] for y in range(rows)]
    return [[pixels[y : y + size, x : x + size] for y, x in row] for row in corners]


def test_a_contact_sheet_shows_the_input_and_eight_sides() -> None:
    stage = toy_stage({}, size=16)
    size = 32
    sheet = contact_sheet(stage, size)
    assert sheet.size == (9 * (size + GAP) + GAP, 3 * (size + GAP + CAPTION) + GAP)
    tiles = tiles_of(sheet, size)
    drawing = draw(stage, around(8, size), normals=True)
    assert drawing.normal is not None
    for row, pictures in zip(tiles, (drawing.color, drawing.depth, drawing.normal), strict=True):
        for tile, picture in zip(row[1:], pictures, strict=True):
            np.testing.assert_array_equal(tile, picture)
            assert tile.std() > 10
    blue, red, mask = (row[0][size // 2, size // 2] for row in tiles)
    assert blue[2] > 100 + blue[0]  # the picture of the smaller, blue ball
    assert red[0] > 100 + red[2]  # the object from there
    assert (mask > 240).all()
    # Every tile has its caption.
    strips = np.asarray(sheet)
    for y in range(3):
        for x in range(9):
            top, left = y * (size + GAP + CAPTION) + GAP, x * (size + GAP) + GAP
            assert strips[top : top + CAPTION, left : left + size].min() < 150


def test_a_contact_sheet_without_picture_and_normals() -> None:
    class Plain(ToyRenderer):
        offers = frozenset({"image", "alpha", "depth"})

    stage = toy_stage({}, size=16)
    stage.reference, stage.renderer = None, Plain()
    assert contact_sheet(stage, 24).size == (8 * 32 + GAP, 2 * 52 + GAP)


def test_a_sheet_of_an_empty_object() -> None:
    stage = toy_stage({}, size=16)
    stage.representation = ToyField(radius=-10.0)
    colors = tiles_of(contact_sheet(stage, 32), 32)[0][1:]
    assert all((tile >= 254).all() for tile in colors)


def test_short_rows_are_filled_from_the_right() -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    pixels = np.asarray(tiled([[Tile("", black), Tile("", black)], [Tile("", black)]]))
    assert pixels.shape == (2 * 12 + 8, 2 * 12 + 8, 3)
    assert (pixels[20:24, 8:12] == 255).all()
    assert (pixels[20:24, 20:24] == 0).all()


def test_a_turntable_can_be_played(tmp_path: Path) -> None:
    stage = toy_stage({}, size=16)
    path = tmp_path / "turntable.mp4"
    turntable(stage, path, size=64, frames=6)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    read = subprocess.run(command, capture_output=True, check=True)
    about = read.stderr.decode()
    assert "Video: h264" in about
    assert "yuv420p" in about
    frames = np.frombuffer(read.stdout, np.uint8).reshape(-1, 64, 64, 3)
    assert len(frames) == 6
    expected = draw(stage, around(6, 64)).color
    assert np.abs(frames.astype(int) - expected).mean(axis=(1, 2, 3)).max() < 4
    assert list(tmp_path.iterdir()) == [path]


def test_a_turntable_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """H.264 in yuv420p has no pictures of odd size: ffmpeg says so."""
    with pytest.raises(OSError, match="not divisible by 2"):
        turntable(toy_stage({}, size=16), tmp_path / "turntable.mp4", size=33, frames=2)
    assert not list(tmp_path.iterdir())


def test_a_preview_replaces_the_latest(tmp_path: Path) -> None:
    stage = toy_stage({}, size=16, steps=200)
    first = save_preview(stage, stage.step(24), tmp_path)
    stage.representation = ToyField(color=(0.1, 0.2, 0.9))
    second = save_preview(stage, stage.step(49), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"toy_000025.png", "toy_000050.png", "latest.png"}
    assert (tmp_path / "latest.png").read_bytes() == second.read_bytes() != first.read_bytes()
    with Image.open(second) as picture:
        assert picture.size == (VIEWS * (SIZE + GAP) + GAP, 2 * (SIZE + GAP) + GAP)
        pixels = np.asarray(picture)
    middle = GAP + SIZE // 2
    assert pixels[middle, middle, 2] > 200 > pixels[middle, middle, 0]
    assert pixels[middle + SIZE + GAP, middle].max() < 100


@pytest.mark.parametrize(("total", "steps"), [(300, range(30, 301, 30)), (40, (25, 40)), (5, (5,))])
def test_previews_come_at_steps_not_at_times(total: int, steps: range) -> None:
    stage = toy_stage({}, steps=total)
    assert [index + 1 for index in range(total) if due(stage.step(index))] == list(steps)


def test_a_long_stage_has_a_preview_every_250_steps() -> None:
    stage = toy_stage({}, steps=10_000)
    assert [index + 1 for index in range(1000) if due(stage.step(index))] == [250, 500, 750, 1000]


def test_a_picture_is_written_to_each_path(tmp_path: Path) -> None:
    picture = Image.new("RGB", (3, 2), (1, 2, 3))
    save_picture(picture, tmp_path / "a.png", tmp_path / "b" / "c.png")
    for path in (tmp_path / "a.png", tmp_path / "b" / "c.png"):
        with Image.open(path) as read:
            assert (read.size, read.getpixel((2, 1))) == ((3, 2), (1, 2, 3))
