"""A small rendered dataset, written as `gen3d render-dataset` writes one."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

VIEWS = 14


def write_views(folder: Path, names: Sequence[str], size: int = 16) -> Path:
    """Discs at places that tell the views apart, each object in its own colour."""
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        color, table = rng.integers(30, 220, 3), []
        for i in range(VIEWS):
            table.append(
                {
                    "file": f"{i:03}.png",
                    "azimuth_deg": round(float(rng.uniform(0, 360)), 3),
                    "elevation_deg": round(math.degrees(math.asin(rng.uniform(-1, 1))), 3),
                    "radius": round(float(rng.uniform(1.5, 2.2)), 3),
                }
            )
            Image.fromarray(_disc(rng, color, size)).save(folder / name / f"{i:03}.png")
        text = json.dumps({"fov_deg": 49.1, "size": size, "views": table})
        (folder / name / "views.json").write_text(text)
    (folder / "index.json").write_text(json.dumps({"objects": list(names)}))
    return folder


def _disc(rng: np.random.Generator, color: np.ndarray, size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    center = rng.uniform(0.35, 0.65, 2) * size
    inside = (y - center[0]) ** 2 + (x - center[1]) ** 2 < (0.3 * size) ** 2
    picture = np.zeros((size, size, 4), np.uint8)
    picture[inside] = [*color, 255]
    return picture
