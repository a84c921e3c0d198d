"""Known objects as tasks: a three-quarter picture, and the object as it stands before that picture's camera."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import trimesh
from jaxtyping import Float
from PIL import Image

from gen3d.cameras import Cameras
from gen3d.errors import BadInput
from gen3d.registry import did_you_mean
from gen3d.rng import generator
from gen3d_training.baselines import extruded, sphere
from gen3d_training.model import load_model, normalized
from gen3d_training.render import random_light, render
from gen3d_training.render_dataset import find_meshes

SIZE, FOV_DEG, FILLED = 256, 49.1, 0.9
"""Pixels and field of view of the input picture, and how much of it the object spans at most."""

AZIMUTH_DEG, ELEVATION_DEG = (30.0, 45.0), (15.0, 20.0)
"""Where it is taken from: off the object's front, to either side, and above the horizon."""


@dataclass(frozen=True, eq=False)
class Case:
    """One object to be made from one picture.

    Args:
        picture: the file.
        azimuth_deg: of its camera in the file's own frame; 0 in ours, into which `truth` is turned.
        elevation_deg: of its camera.
        truth: the object, normalised.
        baselines: what one would guess from the picture, in the same frame, normalised.
    """

    picture: Path
    azimuth_deg: float
    elevation_deg: float
    truth: trimesh.Trimesh
    baselines: dict[str, trimesh.Trimesh]


def prepare(mesh: Path, name: str, folder: Path, seed: int = 0) -> Case:
    """Take the picture of a mesh file and write it to `folder / "input.png"`. Raises BadInput for a broken file."""
    model = load_model(mesh)
    share, side, height = torch.rand(3, generator=generator("case", seed, name), dtype=torch.float64).tolist()
    azimuth = math.copysign(_between(AZIMUTH_DEG, share), side - 0.5)
    elevation = _between(ELEVATION_DEG, height)
    cameras = _framed(model.mesh, math.radians(azimuth), math.radians(elevation))
    picture = render(model, cameras, random_light(seed, name), supersample=3)[0]
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(folder / "input.png")
    truth = model.mesh.copy()
    truth.apply_transform(trimesh.transformations.rotation_matrix(-math.radians(azimuth), [0, 0, 1]))
    pose = Cameras.orbit(0.0, math.radians(elevation), 1.0, 1.0, SIZE).c2w[0, :3, :3].double().numpy()
    silhouette = extruded(picture[..., 3] / 255, pose)
    baselines = {"extruded": normalized(silhouette), "sphere": sphere()}
    return Case(folder / "input.png", azimuth, elevation, normalized(truth), baselines)


def choose(dataset: Path, count: int | None, only: Path | None = None, seed: int = 0) -> dict[str, Path]:
    """Mesh files of a folder by name: those listed in `only` (JSON, or one a line), of them `count` drawn at random.

    Raises BadInput for a folder without meshes, a list that cannot be read, or a name that is not in the folder.
    """
    files = {name: dataset / path for name, path in find_meshes(dataset).items()}
    names = sorted(files if only is None else listed(only))
    for name in names:
        if name not in files:
            raise BadInput(f"no mesh {name!r} in {dataset}", place=str(only), remedy=did_you_mean(name, files))
    order = torch.randperm(len(names), generator=generator("objects", seed)).tolist()
    return {names[at]: files[names[at]] for at in order[:count]}


def listed(path: Path) -> list[str]:
    """The names in a file, sorted: a JSON list, or one a line. Raises BadInput where it is neither, or empty."""
    try:
        text = path.read_text(encoding="utf-8")
        names = json.loads(text) if text.lstrip().startswith("[") else text.split("\n")
    except (OSError, ValueError) as error:
        remedy = "give a JSON list of names, or one name a line"
        raise BadInput(f"cannot be read as a list of objects: {error}", place=str(path), remedy=remedy) from error
    found = sorted({str(name).strip() for name in names} - {""})
    if not found:
        raise BadInput("names no objects", place=str(path), remedy="give a JSON list of names, or one name a line")
    return found


def _between(interval: tuple[float, float], share: float) -> float:
    return round(interval[0] + (interval[1] - interval[0]) * share, 2)


def _framed(mesh: trimesh.Trimesh, azimuth: float, elevation: float) -> Cameras:
    """The camera in that direction from which the object just fits."""
    pose = Cameras.orbit(azimuth, elevation, 1.0, 1.0, SIZE).c2w[0, :3, :3].double().numpy()
    local: Float[np.ndarray, "vertices 3"] = mesh.vertices @ pose
    reach = np.abs(local[:, :2]).max(axis=1) / (FILLED * math.tan(math.radians(FOV_DEG) / 2))
    return Cameras.orbit(azimuth, elevation, float((reach + local[:, 2]).max()), math.radians(FOV_DEG), SIZE)
