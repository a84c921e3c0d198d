"""Pictures of every mesh below a folder, for training and checking view-conditioned priors."""

import json
import math
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from gen3d.cameras import Cameras
from gen3d.checkpoint import write_atomically
from gen3d.errors import BadInput, Gen3dError
from gen3d.rng import generator
from gen3d_training.model import SUFFIXES, load_model
from gen3d_training.render import random_light, render

_GOLDEN = math.pi * (3 - math.sqrt(5))  # turning by this, neighbours in height are far apart in azimuth
_TURNS = 2 * math.pi


@dataclass(frozen=True)
class ViewSettings:
    """How objects, of longest side 1 and centred at the origin, are looked at.

    Args:
        views: pictures of each object.
        size: pixels along each side.
        radius: interval of the cameras' distance from the origin, uniform.
        fov_deg: field of view, degrees.
        seed: poses and light are functions of it and the object's name.
    """

    views: int = 16
    size: int = 64
    radius: tuple[float, float] = (1.5, 2.2)
    fov_deg: float = 49.1
    seed: int = 0


def render_dataset(
    meshes: Path,
    output: Path,
    settings: ViewSettings,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Render every mesh below `meshes` into `output`; what is there already is kept, bad meshes go to failed.jsonl.

    Returns:
        What `output/index.json` says: settings, `objects` by name, `failed` with the reason.

    Raises:
        BadInput: no meshes, or none that could be rendered.
    """
    files = find_meshes(meshes)
    output.mkdir(parents=True, exist_ok=True)
    done: list[str] = []
    failed: list[dict[str, str]] = []
    for name, error in _in_parallel(files, meshes, output, settings, workers):
        if error is None:
            done.append(name)
        else:
            failed.append({"object": name, "file": str(files[name]), "error": error})
        if progress is not None:
            progress(len(done) + len(failed), len(files))
    failed.sort(key=lambda row: row["object"])
    write_atomically(output / "failed.jsonl", "".join(json.dumps(row) + "\n" for row in failed).encode())
    if not done:
        raise BadInput("no mesh could be rendered", place=str(meshes), remedy=f"{output / 'failed.jsonl'} says why")
    index = {**asdict(settings), "objects": sorted(done), "failed": failed}
    write_atomically(output / "index.json", json.dumps(index, indent=1).encode())
    return index


def find_meshes(folder: Path) -> dict[str, Path]:
    """Mesh files below `folder` by object name: the path without its suffix, or with it where two would share one."""
    if not folder.is_dir():
        raise BadInput("is not a folder", place=str(folder), remedy=f"give a folder with {', '.join(SUFFIXES)} files")
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise BadInput("holds no meshes", place=str(folder), remedy=f"give a folder with {', '.join(SUFFIXES)} files")
    names: dict[str, Path] = {}
    for path in paths:
        name = path.with_suffix("").as_posix()
        names[path.as_posix() if name in names else name] = path
    return names


def render_object(path: Path, name: str, output: Path, settings: ViewSettings) -> None:
    """Render one mesh into `output / name`, unless it is there already; views.json is written last."""
    folder = output / name
    plan = view_plan(name, settings)
    listing = folder / "views.json"
    if listing.is_file() and listing.read_text() == json.dumps(plan, indent=1):
        return
    listing.unlink(missing_ok=True)
    model = load_model(path)
    pictures = render(model, _cameras(plan), random_light(settings.seed, name))
    folder.mkdir(parents=True, exist_ok=True)
    for row, picture in zip(plan["views"], pictures, strict=True):
        Image.fromarray(picture).save(folder / row["file"])
    write_atomically(listing, json.dumps(plan, indent=1).encode())


def view_plan(name: str, settings: ViewSettings) -> dict[str, Any]:
    """What views.json says: directions stratified over the whole sphere, one in each band of equal area."""
    draw = generator("views", settings.seed, name)
    jitter, turn, distance = torch.rand(3, settings.views, generator=draw, dtype=torch.float64)
    order = torch.arange(settings.views, dtype=torch.float64)
    elevation = torch.asin((order + jitter) / settings.views * 2 - 1)
    azimuth = torch.remainder(order * _GOLDEN + turn[0] * _TURNS + (turn - 0.5) * _TURNS / settings.views, _TURNS)
    low, high = settings.radius
    radius = low + (high - low) * distance
    rows = torch.stack([azimuth.rad2deg(), elevation.rad2deg(), radius], dim=-1).tolist()
    views = [
        {"file": f"{at:03}.png", "azimuth_deg": round(a, 4), "elevation_deg": round(e, 4), "radius": round(r, 4)}
        for at, (a, e, r) in enumerate(rows)
    ]
    return {"fov_deg": settings.fov_deg, "size": settings.size, "views": views}


def _cameras(plan: dict[str, Any]) -> Cameras:
    columns = ([row[key] for row in plan["views"]] for key in ("azimuth_deg", "elevation_deg", "radius"))
    azimuth, elevation, radius = (torch.tensor(column) for column in columns)
    return Cameras.orbit(azimuth.deg2rad(), elevation.deg2rad(), radius, math.radians(plan["fov_deg"]), plan["size"])


def _in_parallel(
    files: dict[str, Path], meshes: Path, output: Path, settings: ViewSettings, workers: int
) -> Iterator[tuple[str, str | None]]:
    """Name and error message (None: rendered) of each object, as they finish."""
    if workers == 1:
        yield from ((name, _attempt(meshes / path, name, output, settings)) for name, path in files.items())
        return
    # Not forked: embree's and torch's threads would not survive it.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,))
    with pool:
        jobs = {pool.submit(_attempt, meshes / path, name, output, settings): name for name, path in files.items()}
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        except BrokenProcessPool as error:
            raise Gen3dError(
                "a worker died, likely for lack of memory", remedy="run again: it goes on from here"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _attempt(path: Path, name: str, output: Path, settings: ViewSettings) -> str | None:
    try:
        render_object(path, name, output, settings)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one mesh, the others go on
        return f"{type(error).__name__}: {error}"
    return None
