"""What an object was made with: the recipe, its inputs, and the models it learnt from, with their licences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gen3d.errors import Gen3dError
from gen3d.recipe import Recipe
from gen3d.weights import places, store

_FRONT_MATTER = re.compile(r"\A---\n.*?^license(?:_name)?:\s*(\S.*?)\s*$.*?^---$", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"^#+ *Licen[cs]e\s*\n+(\S.*?)$", re.MULTILINE | re.IGNORECASE)


def credits_of(recipe: Recipe) -> dict[str, Any]:
    """What goes into the file beside an asset: enough to make it again, and to know whom it is owed to."""
    inputs = recipe.get("inputs", {})
    result = {"made_with": f"gen3d {version('gen3d')}", "recipe": recipe.name, "seed": recipe.get("seed", 0)}
    result |= {key: inputs[key] for key in ("prompt", "negative_prompt") if inputs.get(key)}
    if inputs.get("image"):
        result["image"] = _public(inputs["image"])
    models = dict.fromkeys(_models(recipe.resolved()))
    result["models"] = [
        {"kind": kind, "weights": _public(name), "licence": licence(kind, name)} for kind, name in models
    ]
    if origin := _origin(inputs.get("run")):
        result["goes_on_from"] = origin
    return result


def _public(name: str) -> str:
    """A file's or folder's name without its place on this machine, which is nobody else's business."""
    return Path(name).name if Path(name).is_absolute() or name.startswith((".", "~")) else name


def _origin(run: object) -> dict[str, Any] | None:
    """The same of the run that this one went on from, where that is still there."""
    try:
        return credits_of(Recipe.load(Path(str(run), "resolved.yaml"))) if run else None
    except (Gen3dError, OSError, RecursionError):
        return None


def _models(value: Any) -> Iterator[tuple[str, str]]:
    """Type and weights of every part of a recipe that has both."""
    if isinstance(value, dict):
        if isinstance(value.get("type"), str) and isinstance(value.get("weights"), str):
            yield value["type"], value["weights"]
        for item in value.values():
            yield from _models(item)


def licence(kind: str, name: str) -> str | None:
    """The licence of some weights in a few words: as recorded when they were fetched, else as their model card says.

    None where neither is on this machine.
    """
    try:
        entry = store.read(name)
        if entry is not None and entry.licence:
            return entry.licence
        card = (places.find(name, kind) / "README.md").read_text(encoding="utf-8")
    except (Gen3dError, OSError, UnicodeDecodeError):
        return None
    found = _FRONT_MATTER.search(card) or _SECTION.search(card)
    return found[1].rstrip(".") if found else None
