"""Pictures of known objects, made into meshes by a recipe, against the objects themselves and against guesses."""

import json
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gen3d.checkpoint import write_atomically
from gen3d.errors import BadInput, OutOfMemory, Unavailable
from gen3d.recipe import Recipe
from gen3d_training import cases, visual_hull
from gen3d_training.evaluation import claim, quiet_plugins
from gen3d_training.metrics import chamfer, iou
from gen3d_training.model import load_model
from gen3d_training.scores import Figures, markdown, summary
from gen3d_training.visual_hull import Seen, look_around

PRIOR = "novel_views"
"""The guidance without which the second column runs."""

METHOD = {
    "input": f"{cases.SIZE}px RGBA, azimuth {cases.AZIMUTH_DEG} degrees to either side of the front, elevation"
    f" {cases.ELEVATION_DEG} degrees (given to the run), field of view {cases.FOV_DEG}, as close as the object fits",
    "normalisation": "every mesh by itself: bounding box in the picture's frame centred, longest side 1",
    "alignment": "none beyond the known pose: the truth is turned until the picture is azimuth 0",
    "iou": f"visual hulls, cell centres of {visual_hull.RESOLUTION}^3 in the unit cube within all silhouettes of"
    f" {visual_hull.VIEWS} cameras all around ({visual_hull.SIZE}px, distance {visual_hull.DISTANCE:g})",
    "chamfer": "(mean nearest distance a to b + b to a) / 2, Euclidean, between the points that rays of the same"
    f" cameras meet first, one in each cube of {visual_hull.SPACING}",
    "prior off": f"the same run without guidance.{PRIOR}",
    "extruded": "silhouette of the input along the viewing direction, depth 0.8 of its shorter side",
    "sphere": "diameter 1",
    "failed": "a run without a mesh counts as IoU 0, and as the point at the centre for the Chamfer distance",
}

Report = Callable[[str, int, int, dict[str, Any]], None]
"""Told of an object's name, how many are done, of how many, and its figures."""

Make = Callable[[Path, float, Path, list[str]], Path]
"""Picture, its elevation in degrees, an empty directory and further overrides to the file of a mesh."""


def eval_image_to_mesh(
    dataset: Path,
    output: Path,
    recipe: str | Path = "zero123_sjc",
    profile: str | None = None,
    overrides: Iterable[str] = (),
    objects: int | None = 12,
    only: Path | None = None,
    seed: int = 0,
    report: Report | None = None,
    make: Make | None = None,
) -> dict[str, Any]:
    """Judge a recipe on the meshes below `dataset`; finished objects in `output` are kept.

    Args:
        dataset: folder of meshes.
        output: where runs, pictures, `results.json` and `results.md` go.
        recipe: file or name of the recipe.
        profile: its profile.
        overrides: `key=value` for it.
        objects: how many, drawn at random; None for all.
        only: file with the names of those to draw from.
        seed: draws objects and cameras.
        report: called after each object.
        make: how a picture becomes a mesh; by default `gen3d run` of the recipe.

    Returns:
        What results.json says: `protocol`, `objects` (figures of each column by name), `summary` (mean and median).

    Raises:
        Gen3dError: the recipe, the dataset or the output cannot be used, or weights are missing.
    """
    overrides = list(overrides)
    loaded = Recipe.load(recipe, overrides, profile)
    chosen = cases.choose(dataset, objects, only, seed)
    make = make or _run_of(recipe, profile, overrides)
    protocol = {**METHOD, "recipe": loaded.name, "profile": profile, "overrides": overrides, "seed": seed}
    claim(output, {**protocol, "resolved": loaded.resolved()})
    ablation = _without_prior(loaded)
    runs = {"recipe": [], **({"prior off": ablation} if ablation else {})}
    results: dict[str, dict[str, Any]] = {}
    for name, mesh in chosen.items():
        results[name] = _judged(mesh, name, output / name, runs, make, seed)
        if report is not None:
            report(name, len(results), len(chosen), results[name])
    return _conclude(output, protocol, results)


def _judged(mesh: Path, name: str, folder: Path, runs: dict[str, list[str]], make: Make, seed: int) -> dict[str, Any]:
    """The figures of one object, from its folder where they are there."""
    stored = folder / "result.json"
    if stored.is_file():
        return dict(json.loads(stored.read_text()))
    case = cases.prepare(mesh, name, folder, seed)
    truth = look_around(case.truth)
    columns = {run: _attempt(make, case, folder / run.replace(" ", "_"), extra, truth) for run, extra in runs.items()}
    columns |= {guess: _figures(look_around(shape), truth) for guess, shape in case.baselines.items()}
    result = {"azimuth_deg": case.azimuth_deg, "elevation_deg": case.elevation_deg, "columns": columns}
    write_atomically(stored, json.dumps(result, indent=1).encode())
    return result


def _attempt(make: Make, case: cases.Case, directory: Path, extra: list[str], truth: Seen) -> Figures:
    """Figures of a run; one that fails is named and counts as nothing made."""
    shutil.rmtree(directory, ignore_errors=True)  # what an interrupted run left
    started = time.monotonic()
    try:
        seen = look_around(load_model(make(case.picture, case.elevation_deg, directory, extra)).mesh)
    except (Unavailable, OutOfMemory):
        raise  # the next object would fare no better
    except Exception as error:  # noqa: BLE001 - whatever went wrong, it is this object's result
        empty = Seen(truth.hull & False, truth.points[:1] * 0)
        return {**_figures(empty, truth), "error": f"{type(error).__name__}: {error}"}
    return {**_figures(seen, truth), "seconds": round(time.monotonic() - started, 1)}


def _figures(seen: Seen, truth: Seen) -> Figures:
    return {"iou": iou(seen.hull, truth.hull), "chamfer": chamfer(seen.points, truth.points)}


def _run_of(recipe: str | Path, profile: str | None, overrides: list[str]) -> Make:
    from gen3d.run import Run

    plugins = quiet_plugins()

    def make(picture: Path, elevation_deg: float, directory: Path, extra: list[str]) -> Path:
        own = [f"inputs.image={picture}", f"inputs.elevation_deg={elevation_deg}", f"output={directory}"]
        run = Run(Recipe.load(recipe, [*overrides, *extra, *own], profile), plugins)
        run.start()
        if not run.outputs:
            raise BadInput("the recipe exports nothing", place="export", remedy="export: {type: game_mesh}")
        return run.outputs[0]

    Run(Recipe.load(recipe, overrides, profile), plugins)  # what is wrong with the recipe is no failure of an object
    return make


def _without_prior(recipe: Recipe) -> list[str]:
    """The overrides that take the prior away, at the level where the recipe has it."""
    if PRIOR in (recipe.get("guidance") or {}) and not recipe.get("stages"):
        return [f"guidance.{PRIOR}=null"]
    having = [name for name, stage in recipe.stages.items() if (stage.values.get("guidance") or {}).get(PRIOR)]
    return [f"stages.{name}.guidance.{PRIOR}=null" for name in having]


def _conclude(output: Path, protocol: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    result = {"protocol": protocol, "summary": summary(results), "objects": results}
    write_atomically(output / "results.json", json.dumps(result, indent=1, default=str).encode())
    write_atomically(output / "results.md", markdown(result).encode())
    return result
