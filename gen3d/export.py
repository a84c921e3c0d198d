"""Export the object of a run that has ended, from its checkpoint and its recipe alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gen3d.build import build_component
from gen3d.checkpoint import load_checkpoint
from gen3d.errors import BadInput
from gen3d.inputs import Inputs
from gen3d.part import Stage
from gen3d.particles import build_object
from gen3d.plugins import installed
from gen3d.recipe import Recipe
from gen3d.stage import defaults

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gen3d.exporter import Exporter
    from gen3d.representation import Representation


def export(run: Path, out: Path | None = None, overrides: Iterable[str] = ()) -> list[Path]:
    """Write the final object of the run directory `run` to `out`; no prior is loaded.

    Args:
        run: a run directory whose last stage has finished.
        out: a folder, or a file whose suffix names the format; the run's `asset` folder without it.
        overrides: "key=value" for the exporter.
    """
    if not (run / "resolved.yaml").is_file():
        raise BadInput("is no run directory", place=str(run), remedy="give a directory that `gen3d run` has made")
    to_file = out is not None and bool(out.suffix)
    changes = [f"export.{text}" for text in overrides]
    changes += [f"export.format={out.suffix[1:]}"] if out and to_file else []
    recipe = Recipe.load(run / "resolved.yaml", changes)
    representation = load_object(recipe, run)
    if not recipe.get("export"):
        raise BadInput("the recipe has no exporter", place=str(run), remedy="add export.type=game_mesh")
    exporter: Exporter = build_component("exporter", recipe.config, ("export",), installed().registry)
    if out is None:
        return exporter.export(representation, run / "asset")
    return exporter.export(representation, out.parent, out.stem) if to_file else exporter.export(representation, out)


def load_object(recipe: Recipe, run: Path) -> Representation:
    """The representation of the last stage, as its final checkpoint holds it."""
    name, config = list(recipe.stages.items())[-1]
    config = config.merged(defaults(config))
    representation, renderer = build_object(config, installed().registry)
    state = load_checkpoint(run / "checkpoints" / f"{name}-final.safetensors")
    cpu = torch.device("cpu")
    stage = Stage(name, 1, int(recipe.get("seed", 0)), cpu, Inputs(), None, representation, renderer, {})
    representation.bind(stage)
    try:
        representation.load_trained_state(state["parts"]["representation"])
    except (KeyError, ValueError) as error:
        raise BadInput(f"the checkpoint does not fit the recipe: {error}", place=str(run)) from error
    return representation.result
