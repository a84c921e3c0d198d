"""Prompts, made into objects by recipes' first stages, and what a classifier names the objects."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gen3d.cameras import Cameras
from gen3d.checkpoint import write_atomically
from gen3d.errors import BadInput, Unsupported
from gen3d.registry import did_you_mean
from gen3d.rng import generator
from gen3d_training import first_stage, text_tables, train_classifier
from gen3d_training.classifier import Classifier
from gen3d_training.dataset import ViewDataset
from gen3d_training.evaluation import claim, quiet_plugins
from gen3d_training.first_stage import FirstStage
from gen3d_training.kinds import objects_by_kind, read_prompts
from gen3d_training.model import load_model
from gen3d_training.render import random_light, render
from gen3d_training.render_dataset import find_meshes
from gen3d_training.text_cases import Case, all_cases, attempt, judged
from gen3d_training.text_scores import EMPTY, Judge, diversity, summary

RECIPES = ("prolificdreamer_vsd", "dreamfusion_sds")

METHOD = {
    "run": "the recipe's first stage alone, without export, once a prompt, with the recipe's own seed",
    "views": f"{first_stage.VIEWS} at equal angles, elevation {first_stage.ELEVATION_DEG:g} degrees, distance"
    f" {first_stage.RADIUS:g}, field of view and size as in the dataset; over white, unlit",
    "named": "the kind with the highest mean log-probability over the views; wrong where the run failed, or the object"
    f" covers less than {EMPTY:.1%} of the pictures",
    "saturation": "of HSV, mean over pixels weighted by alpha; real: of all of the dataset's objects of that kind, in"
    f" views at elevations of {train_classifier.JUDGED_DEG} degrees",
    "cost": "seconds of the run with all that it loads; MiB at the peak, of the whole process or on CUDA, the larger",
    "diversity": "root mean square difference of the renders of two objects by equal cameras, over white, mean over"
    " pairs; of the particles of one run with as many steps for each, on average, as for one object alone",
}

Report = Callable[[str, str, int, int, dict[str, Any]], None]
"""Told of a recipe's name, a prompt, how many cases are done, of how many, and what was found."""


def eval_text_to_3d(
    dataset: Path,
    output: Path,
    recipes: Sequence[str | Path] = RECIPES,
    profile: str | None = None,
    overrides: Iterable[str] = (),
    prompts: Path | None = None,
    only: Sequence[str] = (),
    particles: int = 4,
    meshes: Path | None = None,
    seed: int = 0,
    report: Report | None = None,
    progress: train_classifier.Progress | None = None,
) -> dict[str, Any]:
    """Judge recipes by what a classifier of real renders names their results; finished cases in `output` are kept.

    Args:
        dataset: folder that `gen3d render-dataset` wrote: the classifier is trained on it, where `output` holds none.
        output: where classifier, runs, pictures, `results.json`, `results.md` and `sheet.png` go.
        recipes: files or names.
        profile: of each.
        overrides: `key=value` for each.
        prompts: file with one prompt a line, each naming one kind; kinds.PROMPTS without it.
        only: kinds whose prompts are run now; results are of all that are finished. All where it is empty.
        particles: objects that the first prompt is made into by one more run, for the diversity; 1: no such run.
        meshes: the dataset's meshes, for the diversity of real objects beside it.
        seed: of the classifier, and draws the real objects.
        report: called after each case.
        progress: called after each step of the classifier's training.

    Returns:
        What results.json says: `recipes` by name (`prompts`, `summary`, `particles`), `real` (its `diversity`),
        `kinds`, `classifier` (its figures), and the `protocol`.

    Raises:
        Gen3dError: a recipe, the dataset, the prompts or the output cannot be used, or weights are missing.
    """
    asked, overrides = read_prompts(prompts), list(overrides)
    stages = _stages(recipes, profile, overrides, next(iter(asked)))
    for stage in stages:
        claim(output / stage.name, {**METHOD, "profile": profile, **stage.resolved()})
    judge, cameras, real = _ground(dataset, output, asked, only, particles, meshes, seed, progress)
    protocol = {**METHOD, "profile": profile, "overrides": overrides, "seed": seed, "dataset": str(dataset)}
    result = {"protocol": protocol, "real": real, "kinds": judge.classifier.kinds, "classifier": judge.classifier.about}
    cases = all_cases(output, stages, asked, particles)
    chosen = [case for case in cases if not only or case.kind in only]
    for done, case in enumerate(chosen, 1):
        attempt(case, cameras)
        found = _conclude(output, cases, judge, result)  # each time: whatever happens to the next one
        if report is not None:
            report(case.stage.name, case.prompt, done, len(chosen), found[case.folder])
    return result


def _stages(recipes: Sequence[str | Path], profile: str | None, overrides: list[str], prompt: str) -> list[FirstStage]:
    plugins = quiet_plugins()
    stages = [FirstStage(recipe, profile, overrides, plugins) for recipe in recipes]
    for stage in stages:
        run = stage.run(prompt)
        run.check()  # what is wrong with a recipe is no failure of a prompt
        if getattr(run.stages[0].representation, "space", "rgb") != "rgb":
            remedy = "set representation.channels=rgb"
            raise Unsupported("the first stage makes latents, which have no looks", place=stage.name, remedy=remedy)
    if len({stage.name for stage in stages}) < len(stages):
        names = ", ".join(map(str, recipes))
        raise BadInput("two recipes have the same name", place=names, remedy="name their files differently")
    return stages


def _ground(
    dataset: Path,
    output: Path,
    asked: dict[str, str],
    only: Sequence[str],
    particles: int,
    meshes: Path | None,
    seed: int,
    progress: train_classifier.Progress | None,
) -> tuple[Judge, Cameras, dict[str, Any] | None]:
    """All that is needed of the dataset, which is not kept: it would count as the runs' memory."""
    views = ViewDataset.open(dataset)
    _check(asked, only, [*objects_by_kind(views.names)])
    cameras = first_stage.around(views.fov, views.pictures.shape[2])
    real = _real(output / "real.png", views, meshes, next(iter(asked.values())), cameras, particles, seed)
    return Judge.of(_classifier(output, views, seed, progress), views, asked.values()), cameras, real


def _check(asked: dict[str, str], only: Sequence[str], known: Sequence[str]) -> None:
    for prompt, kind in asked.items():
        if kind not in known:
            remedy = f"it has enough of: {', '.join(known) or 'none'}"
            raise BadInput(f"the dataset holds too few of {kind!r}", place=f"prompt {prompt!r}", remedy=remedy)
    for kind in only:
        if kind not in asked.values():
            raise BadInput(f"no prompt asks for {kind!r}", place="only", remedy=did_you_mean(kind, asked.values()))


def _classifier(output: Path, views: ViewDataset, seed: int, progress: train_classifier.Progress | None) -> Classifier:
    """That of an output folder, trained where it is not there yet."""
    folder, steps = output / "classifier", train_classifier.STEPS
    objects = {kind: [views.names[at] for at in places] for kind, places in objects_by_kind(views.names).items()}
    claim(folder, {"seed": seed, "steps": steps, "size": views.pictures.shape[2], "fov": views.fov, "objects": objects})
    if not (folder / "classifier.safetensors").is_file():
        classifier = train_classifier.train_classifier(views, seed, steps, progress)
        classifier.save(folder / "classifier.safetensors")
    return Classifier.load(folder / "classifier.safetensors")


def _conclude(output: Path, cases: list[Case], judge: Judge, result: dict[str, Any]) -> dict[Path, dict[str, Any]]:
    """Judge all finished cases, add that to `result`, and write it; the figures of each by its folder."""
    recipes: dict[str, Any] = {case.stage.name: {"prompts": {}, "particles": None} for case in cases}
    found, rows = {}, []
    for case in cases:
        if not (case.folder / "result.json").is_file():
            continue
        one, shown = judged(case, judge)
        rows += shown
        found[case.folder] = one
        if case.particles > 1:
            recipes[case.stage.name]["particles"] = one
        else:
            recipes[case.stage.name]["prompts"][case.prompt] = one
    for recipe in recipes.values():
        recipe["summary"] = summary([*recipe["prompts"].values()])
    result["recipes"] = recipes
    write_atomically(output / "results.json", json.dumps(result, indent=1).encode())
    write_atomically(output / "results.md", text_tables.markdown(result).encode())
    text_tables.save_sheet(rows, output / "sheet.png")
    return found


def _real(
    path: Path, views: ViewDataset, meshes: Path | None, kind: str, cameras: Cameras, count: int, seed: int
) -> dict[str, Any] | None:
    """Diversity of that many real objects of a kind, drawn at random, by the same cameras."""
    if meshes is None or count < 2:  # noqa: PLR2004 (a pair)
        return None
    files = find_meshes(meshes)
    names = [views.names[at] for at in objects_by_kind(views.names)[kind] if views.names[at] in files]
    if len(names) < count:
        cause = f"holds {len(names)} of the dataset's objects of the kind {kind!r}, which is too few"
        raise BadInput(cause, place=str(meshes), remedy="give the folder that the dataset was rendered from")
    order = torch.randperm(len(names), generator=generator("real objects", seed)).tolist()
    chosen = [names[at] for at in order[:count]]
    pictures = [render(load_model(meshes / files[name]), cameras, random_light(seed, name)) for name in chosen]
    first_stage.save_pictures(np.stack(pictures), path)
    return {"kind": kind, "objects": chosen, "diversity": diversity(np.stack(pictures))}
