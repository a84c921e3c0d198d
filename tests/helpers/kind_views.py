"""A small rendered dataset of three kinds that can be told apart, as `gen3d render-dataset` writes one."""

import json
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

VIEWS = 6
COUNT = 6
"""Objects of each kind."""

COLORS = {"tree": (30, 160, 40), "crate": (120, 70, 30), "fish": (230, 120, 20)}


def write_kinds(folder: Path, size: int = 16) -> Path:
    """Trees are green triangles, crates brown squares, fish orange ellipses, each of its own size and place."""
    rng = np.random.default_rng(0)
    names = [f"pack/{kind}_{at}" for kind in COLORS for at in "abcdefgh"[:COUNT]]
    for name in names:
        kind = name.partition("/")[2].partition("_")[0]
        (folder / name).mkdir(parents=True)
        for view in range(VIEWS):
            Image.fromarray(picture(kind, rng, size)).save(folder / name / f"{view:03}.png")
        turns = (360 / VIEWS * np.arange(VIEWS)).tolist()
        pose = {"elevation_deg": round(math.degrees(0.2), 3), "radius": 1.8}
        table = [{"file": f"{view:03}.png", "azimuth_deg": turn, **pose} for view, turn in enumerate(turns)]
        text = json.dumps({"fov_deg": 49.1, "size": size, "views": table})
        (folder / name / "views.json").write_text(text)
    (folder / "index.json").write_text(json.dumps({"objects": names}))
    return folder


def picture(kind: str, rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """One view of an object of a kind: RGBA."""
    y, x = np.mgrid[:size, :size] + 0.5
    up, across = (values / size - center for values, center in zip((y, x), rng.uniform(0.45, 0.55, 2), strict=True))
    reach = rng.uniform(0.25, 0.35)
    shapes = {
        "tree": (abs(across) < (up + reach) / 2) & (up < reach),
        "crate": np.maximum(abs(up), abs(across)) < reach,
        "fish": (across / (1.3 * reach)) ** 2 + (up / (0.5 * reach)) ** 2 < 1,
    }
    pixels = np.zeros((size, size, 4), np.uint8)
    pixels[shapes[kind]] = [*COLORS[kind], 255]
    return pixels
