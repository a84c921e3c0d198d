"""Export the object of a run that has ended, from its checkpoint and its recipe alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gen3d.build import build_component
from gen3d.errors import BadInput
from gen3d.plugins import installed
from gen3d.recipe import Recipe
from gen3d.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gen3d.exporter import Exporter


def export(run: Path, out: Path | None = None, overrides: Iterable[str] = ()) -> list[Path]:
    """Write the object of the run directory `run` to `out`; no prior is loaded.

    Args:
        run: a run directory; of a run that was stopped, the newest checkpoint is exported.
        out: a folder, or a file whose suffix names the format; the run's `asset` folder without it.
        overrides: "key=value" for the exporter.
    """
    stored = Stored.newest(run)
    to_file = out is not None and bool(out.suffix)
    changes = [f"export.{text}" for text in overrides]
    changes += [f"export.format={out.suffix[1:]}"] if out and to_file else []
    recipe = Recipe.load(run / "resolved.yaml", changes)
    representation = stored.load()
    if not recipe.get("export"):
        raise BadInput("the recipe has no exporter", place=str(run), remedy="add export.type=game_mesh")
    exporter: Exporter = build_component("exporter", recipe.config, ("export",), installed().registry)
    if out is None:
        return exporter.export(representation, run / "asset")
    return exporter.export(representation, out.parent, out.stem) if to_file else exporter.export(representation, out)
