"""Recipes: YAML files that compose parts. Recipe < profile < command line; `stages` override the top level."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gen3d.config import Config, Key, load_yaml, overlap, override, parse_override, references, resolve_references
from gen3d.errors import BadInput
from gen3d.registry import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FORMAT = 1
STAGE_KEYS = ("steps", "cameras", "representation", "renderer", "guidance", "optimizer")
TOP_KEYS = (
    *("gen3d", "name", "seed", "inputs", *STAGE_KEYS, "export", "stages", "output"),
    *("checkpoint_every", "device"),
)
"""And `profiles`, which is gone once a recipe is loaded."""
TYPES = {
    **dict.fromkeys(("gen3d", "seed", "steps", "checkpoint_every"), int),
    **dict.fromkeys(("name", "device", "output", "from"), str),
    **dict.fromkeys(("inputs", "cameras", "guidance", "stages"), dict),
}
INPUTS = "inputs"
"""What a stage starts `from` that takes over the object of `inputs.run`."""
AT_LEAST_1 = ("steps", "checkpoint_every")
MOST = 10**8 - 1
"""Of these: as many steps as the name of a checkpoint can count."""


@dataclass(frozen=True)
class Recipe:
    """A recipe with its profile and overrides applied, checked as far as that needs no component.

    Args:
        path: the file.
        text: what was in it.
        config: the merged values, references resolved.
        stages: the stages' own values laid over the top level, in order.
    """

    path: Path
    text: str
    config: Config
    stages: dict[str, Config]

    @classmethod
    def load(cls, name: str | Path, overrides: Iterable[str] = (), profile: str | None = None) -> Recipe:
        """Read and merge. Raises BadInput naming file, line and key."""
        path = find(name)
        base = load_yaml(path)
        _check_format(base)
        overlaid = _overlaid(base, list(overrides), profile)
        _check_format(overlaid)
        config = resolve_references(overlaid)
        _check(config, (), TOP_KEYS)
        stages = _stages(config)
        for text in overrides:
            key = parse_override(text)[0]
            if not any(overlap(key, copied) for copied in references(overlaid.values)):
                _check_effect(key, config, stages)
        return cls(path, path.read_text(encoding="utf-8"), config, stages)

    @property
    def name(self) -> str:
        """The recipe's name: its `name`, else the file's."""
        return str(self.get("name") or self.path.stem)

    def get(self, key: str, default: Any = None) -> Any:
        """A top-level value."""
        value = self.config.values.get(key)
        return default if value is None else value

    def changed(self, values: Mapping[Key, Any]) -> Recipe:
        """The recipe with other values at these places, whatever it refers to elsewhere."""
        config = self.config
        for key, value in values.items():
            config = config.merged(override(key, value))
        return replace(self, config=config, stages=_stages(config))

    def resolved(self) -> dict[str, Any]:
        """Everything as it will run, profiles applied and gone."""
        return self.config.values


def find(name: str | Path) -> Path:
    """The recipe file: a path, or a name among the shipped ones. Raises BadInput with suggestions."""
    path = Path(name)
    shipped = {recipe.stem: recipe for recipe in available()}
    try:
        for candidate in (path, shipped.get(str(name), path), *(folder.parent / path for folder in _folders())):
            if candidate.is_file():
                return candidate
        cause = "is a folder, no recipe" if path.is_dir() else "does not exist"
    except (OSError, ValueError):
        cause = "is no path of a file"
    raise BadInput(cause, place=str(name), remedy=did_you_mean(path.stem, shipped))


def available() -> list[Path]:
    """The shipped recipes: of the checkout, else of the installation."""
    return [path for folder in _folders()[:1] for path in sorted(folder.rglob("*.yaml"))]


def _folders() -> list[Path]:
    places = (Path(__file__).parents[1] / "recipes", Path(sys.prefix) / "share" / "gen3d" / "recipes")
    return [folder for folder in places if folder.is_dir()]


def _check_format(config: Config) -> None:
    if (found := config.values.get("gen3d", FORMAT)) != FORMAT:
        raise config.error(("gen3d",), f"format {found!r} is not known", f"this is format {FORMAT}")


def _overlaid(base: Config, overrides: list[str], profile: str | None) -> Config:
    profiles = base.values.get("profiles") or {}
    if not isinstance(profiles, dict):
        raise base.error(("profiles",), f"{profiles!r} does not fit", "it is a map")
    for name, overlay in profiles.items():
        if not isinstance(overlay, dict):
            raise base.error(("profiles", name), f"{overlay!r} does not fit", "a profile is a map")
    result = Config({key: value for key, value in base.values.items() if key != "profiles"}, dict(base.places))
    if profile is not None:
        if profile not in profiles:
            raise base.error(("profiles",), f"no profile {profile!r}", did_you_mean(profile, profiles))
        overlay = base.at(("profiles", profile))
        overlay.places.pop(())  # the whole recipe is still where it was
        result = result.merged(overlay)
    for text in overrides:
        result = result.merged(override(*parse_override(text)))
    return result


def _check(config: Config, path: Key, known: Iterable[str]) -> None:
    values: Any = config.values
    for key in path:
        values = values[key]
    for key, value in values.items():
        if key not in known:
            raise config.unknown_key((*path, key), list(known))
        wanted = TYPES.get(key)
        if wanted and value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            names = {int: "a whole number", str: "text", dict: "a map"}
            raise config.error((*path, key), f"{value!r} does not fit", f"it is {names[wanted]}")
        if key in AT_LEAST_1 and value is not None and not 1 <= value <= MOST:
            raise config.error((*path, key), f"{value} does not fit", f"it is from 1 to {MOST}")


def _stages(config: Config) -> dict[str, Config]:
    named = {key: value for key, value in (config.values.get("stages") or {}).items() if value is not None}
    top = {key: config.values[key] for key in STAGE_KEYS if key in config.values}
    shared = Config(top, {p: at for p, at in config.places.items() if not p or p[0] in STAGE_KEYS})
    if not named:
        return {"main": shared}
    result: dict[str, Config] = {}
    for name, value in named.items():
        if not re.fullmatch(r"\w[\w-]*", name):
            raise config.error(("stages", name), f"{name!r} is no name of a stage", "use letters, digits, _ and -")
        if name == INPUTS:
            raise config.error(("stages", name), f"{name!r} is what `from` calls the run in inputs.run", "rename it")
        if not isinstance(value, dict):
            raise config.error(("stages", name), f"{value!r} does not fit", "a stage is a map")
        _check(config, ("stages", name), (*STAGE_KEYS, "from"))
        source = value.get("from")
        if source not in {None, INPUTS, *result}:
            remedy = did_you_mean(str(source), {INPUTS, *result})
            raise config.error(("stages", name, "from"), f"no earlier stage {source!r}", remedy)
        result[name] = shared.merged(config.at(("stages", name)))
    return result


def _check_effect(path: Key, config: Config, stages: dict[str, Config]) -> None:
    """An override of a top-level key that each stage sets itself would silently do nothing."""
    has_effect = any(
        place == "command line" and where[: len(path)] == path
        for stage in stages.values()
        for where, place in stage.places.items()
    )
    if path[0] in STAGE_KEYS and not has_effect and config.values.get("stages"):
        names = " or ".join(f"stages.{name}.{'.'.join(path)}" for name in stages)
        raise config.error(path, "has no effect: each stage sets it itself", f"override {names}")
