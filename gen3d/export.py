"""Export the object of a run that has ended, from its checkpoint and its recipe alone, or another program's mesh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gen3d.build import build_component
from gen3d.config import Config, override, parse_override
from gen3d.credits import credits_of
from gen3d.errors import BadInput, Unsupported
from gen3d.exporter import FileExporter
from gen3d.plugins import installed
from gen3d.recipe import Recipe
from gen3d.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gen3d.exporter import Exporter

FOR_FILES = "game_mesh"
"""The exporter of files, unless "type=..." names another."""


def export(run: Path, out: Path | None = None, overrides: Iterable[str] = ()) -> list[Path]:
    """Write the object of the run directory `run` to `out`; no prior is loaded.

    Args:
        run: a run directory; of a run that was stopped, the newest checkpoint is exported.
        out: a folder, or a file whose suffix names the format; the run's `asset` folder without it.
        overrides: "key=value" for the exporter.
    """
    stored = Stored.newest(run)
    recipe = Recipe.load(run / "resolved.yaml", _keys(out, overrides))
    if not recipe.get("export"):
        raise BadInput("the recipe has no exporter", place=str(run), remedy="add export.type=game_mesh")
    exporter: Exporter = build_component("exporter", recipe.config, ("export",), installed().registry)
    exporter.provenance = credits_of(stored.recipe)
    return exporter.export(stored.load(), *_target(out or run / "asset"))


def export_file(file: Path, out: Path, overrides: Iterable[str] = ()) -> list[Path]:
    """Write the mesh of a file that another program made to `out`, as `export` does with a run's object.

    Raises Unsupported where the exporter takes no files.
    """
    config = Config({"export": {"type": FOR_FILES}})
    for text in _keys(out, overrides):
        config = config.merged(override(*parse_override(text)))
    exporter = build_component("exporter", config, ("export",), installed().registry)
    if not isinstance(exporter, FileExporter):
        kind = config.values["export"]["type"]
        raise Unsupported(f"exporter {kind!r} exports runs, and no files", remedy=f"use type={FOR_FILES}")
    return exporter.export_file(file, *_target(out))


def _keys(out: Path | None, overrides: Iterable[str]) -> list[str]:
    """Overrides of the exporter; the suffix of a file is the first of its formats."""
    given = [f"export.{text}" for text in overrides]
    if out is None or not out.suffix:
        return given
    key, first = "export.format=", out.suffix[1:].lower()
    asked = [name.strip() for text in given if text.startswith(key) for name in text[len(key) :].strip("[]").split(",")]
    formats = dict.fromkeys([first, *asked])
    rest = [text for text in given if not text.startswith(key)]
    return [*rest, key + (first if len(formats) == 1 else f"[{', '.join(formats)}]")]


def _target(out: Path) -> tuple[Path, str]:
    """Directory and name; `asset` in a folder."""
    return (out.parent, out.stem) if out.suffix else (out, "asset")
