"""The runs of an evaluation of prompts: what each is about, and what it left in its folder."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3d.cameras import Cameras
from gen3d.checkpoint import write_atomically
from gen3d.errors import OutOfMemory, Unavailable
from gen3d_training import first_stage
from gen3d_training.first_stage import FirstStage
from gen3d_training.kinds import slug
from gen3d_training.text_scores import Judge, diversity
from gen3d_training.text_tables import Row


@dataclass(frozen=True)
class Case:
    """One run.

    Args:
        stage: of which recipe.
        prompt: what is asked for.
        kind: what it must be named.
        particles: how many objects.
        folder: where it is kept.
    """

    stage: FirstStage
    prompt: str
    kind: str
    particles: int
    folder: Path


def all_cases(output: Path, stages: list[FirstStage], asked: dict[str, str], particles: int) -> list[Case]:
    """Every prompt by every recipe, then the first prompt's particles."""
    alone = [
        Case(stage, prompt, kind, 1, output / stage.name / slug(prompt))
        for prompt, kind in asked.items()
        for stage in stages
    ]
    several = [
        Case(case.stage, case.prompt, case.kind, particles, case.folder.with_name(f"{case.folder.name}-{particles}"))
        for case in alone[: len(stages)]
    ]
    return alone + (several if particles > 1 else [])


def attempt(case: Case, cameras: Cameras) -> None:
    """Run a case, unless it is there: result.json comes last. One that fails is named, and counts as wrong."""
    stored = case.folder / "result.json"
    if stored.is_file():
        return
    shutil.rmtree(case.folder, ignore_errors=True)  # what an interrupted run left
    result: dict[str, Any] = {"prompt": case.prompt, "kind": case.kind}
    try:
        made = first_stage.make(case.stage, case.prompt, case.particles, case.folder / "run", cameras)
    except (Unavailable, OutOfMemory):
        raise  # the next one would fare no better
    except Exception as error:  # noqa: BLE001 - whatever went wrong, it is this prompt's result
        result["error"] = f"{type(error).__name__}: {error}"
    else:
        first_stage.save_pictures(made.pictures, case.folder / "pictures.png")
        result |= made.about
    shutil.rmtree(case.folder / "run" / "checkpoints", ignore_errors=True)  # a hundred MB, and nothing goes on from it
    write_atomically(stored, json.dumps(result, indent=1).encode())


def judged(case: Case, judge: Judge) -> tuple[dict[str, Any], list[Row]]:
    """The figures of a finished case, and its rows of the sheet."""
    stored: dict[str, Any] = json.loads((case.folder / "result.json").read_text())
    if "error" in stored:
        return stored, []
    pictures = first_stage.load_pictures(case.folder / "pictures.png")
    found = [judge(one, case.kind) for one in pictures]
    words = [f"{case.prompt}\n{case.stage.name}\n{one['named'] or 'nothing'}, {one['share']:.0%}" for one in found]
    if case.particles == 1:
        return {**stored, **found[0]}, [*zip(words, pictures, strict=True)]
    figures = {"named": [one["named"] for one in found], "diversity": diversity(pictures)}
    return {**stored, **figures}, [*zip(words, pictures, strict=True)]
