"""Pictures of the result: a contact sheet and a turntable."""

import io
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from gen3d import Stage
from gen3d.checkpoint import write_atomically
from gen3d_monitor.drawing import around, draw

FRAMES, FRAMES_PER_SECOND = 48, 16
_VIEWS = 8
_GAP, _CAPTION = 8, 20


@dataclass(frozen=True)
class Tile:
    """A picture with a caption."""

    caption: str
    pixels: UInt8[np.ndarray, "height width 3"]


def contact_sheet(stage: Stage, size: int = 192) -> Image.Image:
    """The input picture, and the object from eight sides: colours, depth and, where they can be had, normals.

    Args:
        stage: whose object is drawn.
        size: of each tile, pixels.
    """
    drawing = draw(stage, around(_VIEWS, size), normals=True)
    kinds = {"": drawing.color, "depth ": drawing.depth, "normal ": drawing.normal}
    angles = [f"{360 * index // _VIEWS}°" for index in range(_VIEWS)]
    rows = [
        [Tile(kind + angle, picture) for angle, picture in zip(angles, pictures, strict=True)]
        for kind, pictures in kinds.items()
        if pictures is not None
    ]
    for row, tile in zip(rows, _input_tiles(stage, size), strict=False):
        row.insert(0, tile)
    return tiled(rows)


def _input_tiles(stage: Stage, size: int) -> list[Tile]:
    """The picture that was given, the object from the same side, and what of the picture is the object."""
    if stage.reference is None:
        return []
    picture = stage.inputs.picture.resized(size)
    image, mask = ((255 * layer.expand(-1, -1, 3)).byte().numpy() for layer in (picture.image, picture.alpha))
    same = draw(stage, stage.reference.resized(size)).color[0]
    return [Tile("input", image), Tile("same view", same), Tile("input's mask", mask)]


def tiled(rows: list[list[Tile]]) -> Image.Image:
    """Rows of tiles of one size on white, each under its caption; a row that lacks tiles is filled from the right."""
    height, width = rows[0][0].pixels.shape[:2]
    columns = max(map(len, rows))
    captioned = any(tile.caption for row in rows for tile in row)
    down, across = height + (_CAPTION if captioned else 0) + _GAP, width + _GAP
    sheet = Image.new("RGB", (columns * across + _GAP, len(rows) * down + _GAP), (255, 255, 255))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row, columns - len(row)):
            corner = (x * across + _GAP, (y + 1) * down - height)
            pen.text((corner[0], corner[1] - _CAPTION + 2), tile.caption, fill=(70, 70, 70), font=font)
            sheet.paste(Image.fromarray(tile.pixels), corner)
    return sheet


def save_picture(picture: Image.Image, *paths: Path) -> None:
    """Write a PNG to each path, whole or not at all."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    for path in paths:
        write_atomically(path, stream.getvalue())


def turntable(stage: Stage, path: Path, size: int = 256, frames: int = FRAMES) -> None:
    """Write an MP4 (H.264, yuv420p, which plays everywhere) of one turn around the object, from its front.

    Args:
        stage: whose object is drawn.
        path: the file, written whole or not at all.
        size: of the picture, pixels; even.
        frames: of the turn.

    Raises:
        RuntimeError: there is no ffmpeg.
        OSError: ffmpeg cannot be run or reports an error, such as a full disk.
    """
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size}x{size}", "-r", str(FRAMES_PER_SECOND), "-i", "-")
    coded = ("-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-movflags", "+faststart")
    partial = path.with_name(f".{path.stem}.partial.mp4").absolute()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *raw, *coded, str(partial)]
    pictures = draw(stage, around(frames, size)).color
    try:
        done = subprocess.run(command, input=pictures.tobytes(), capture_output=True, check=False)  # noqa: S603 (ours)
        if done.returncode:
            raise OSError(done.stderr.decode(errors="replace").strip() or f"ffmpeg ended with {done.returncode}")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
