"""Nested values that know where they were written, so that an error can name file, line and key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from gen3d.errors import BadInput
from gen3d.registry import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Key = tuple[str, ...]
_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_STEP = re.compile(r"\d+|\d+(\.\d+)?%|ramp")
_DEEPEST = 40
_TOO_DEEP = f"nested deeper than {_DEEPEST} levels"
_LONGEST = 100_000  # characters; the parser takes seconds for as many
_MOST = 20_000  # values, and references that are followed: a few aliases or references to others can name any number
_CHAIN = 10  # references that lead to references
_SHOWN = 200  # characters of an override that is none
_BITS = 1000  # of a whole number: Python refuses to print much longer ones


@dataclass
class Config:
    """Plain nested maps, lists and scalars, and for each key path the place it came from."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)

    def place(self, path: Key) -> str:
        """Where a key was written, for messages: "file:line: a.b"."""
        # What an override deep below has brought is of the command line, not of the line of the map around it.
        below = (known for known in self.places if path and known[: len(path)] == path)
        above = (path[:end] for end in range(len(path), -1, -1) if path[:end] in self.places)
        found = path if path in self.places else next(chain(below, above), None)
        return ": ".join(text for text in (self.places.get(found or (), ""), ".".join(path)) if text)

    def at(self, path: Key) -> Config:
        """The sub-tree below a path, empty where there is none."""
        node: Any = self.values
        for key in path:
            node = node.get(key) if isinstance(node, dict) else None
        below = {p[len(path) :]: place for p, place in self.places.items() if p[: len(path)] == path}
        return Config(node if isinstance(node, dict) else {}, below)

    def error(self, path: Key, cause: str, remedy: str = "") -> BadInput:
        """A BadInput that names the place of a key."""
        return BadInput(cause, place=self.place(path), remedy=remedy)

    def unknown_key(self, path: Key, known: list[str]) -> BadInput:
        """The error for a key that nobody reads."""
        return self.error(path, f"unknown key {path[-1]!r}", did_you_mean(path[-1], known))

    def merged(self, overlay: Config) -> Config:
        """This with `overlay` laid over it: maps merge; scalars, lists, schedules and changed types replace.

        A map without a type holds what is said of any of them.
        """
        result = Config(dict(self.values), dict(self.places))
        result.values = _merge(self.values, overlay.values, (), result.places)
        result.places |= overlay.places
        return result


def _merge(base: dict[str, Any], over: dict[str, Any], path: Key, places: dict[Key, str]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        below = (*path, str(key))
        if _mergeable(base.get(key), value):
            result[key] = _merge(base[key], value, below, places)
        else:
            for old in [p for p in places if p[: len(below)] == below]:
                del places[old]
            result[key] = value
    return result


def _mergeable(base: Any, over: Any) -> bool:
    if not isinstance(base, dict) or not isinstance(over, dict) or is_schedule(base) or is_schedule(over):
        return False
    return "type" not in over or base.get("type") in (None, over["type"])


def is_schedule(value: Any) -> bool:
    """Whether a map is a schedule such as {0: 1, 50%: 2}."""
    return isinstance(value, dict) and bool(value) and all(_STEP.fullmatch(str(key)) for key in value)


def load_yaml(path: Path) -> Config:
    """Read a YAML 1.2 file whose top level is a map. Raises BadInput with the line of a syntax error."""
    try:
        if path.stat().st_size > 4 * _LONGEST:
            raise BadInput(f"is longer than {_LONGEST} characters", place=str(path), remedy="see `gen3d recipes`")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", place=str(path)) from error
    except UnicodeDecodeError as error:
        raise BadInput("is no UTF-8 text", place=str(path), remedy="a recipe is a YAML text file") from error
    values, lines = parse_yaml(text, str(path))
    if not isinstance(values, dict):
        raise BadInput("is no recipe: the top level is no map", place=str(path), remedy="see `gen3d recipes`")
    return Config(values, {(): str(path)} | {key: f"{path}:{line}" for key, line in lines.items()})


def parse_yaml(text: str, source: str) -> tuple[Any, dict[Key, int]]:
    """Parse YAML 1.2 to plain values and the line of each key. Raises BadInput with the line of a syntax error."""
    try:
        if len(text) > _LONGEST:
            msg = f"longer than {_LONGEST} characters"
            raise ValueError(msg)  # noqa: TRY301 (one message for all of these)
        if max(accumulate((char in "[{") - (char in "]}") for char in text), default=0) > _DEEPEST:
            raise ValueError(_TOO_DEEP)  # noqa: TRY301 (the parser would take minutes)
        node = YAML(typ="rt", pure=True).load(text)
        return plain(node), dict(_lines(node))
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        cause = f"YAML syntax: {error.problem or error.context or 'not understood'}"
        raise BadInput(cause, place=f"{source}{line}", remedy="check indentation, colons and brackets there") from error
    except Exception as error:  # the parser raises whatever it stumbles over
        reason = _TOO_DEEP if isinstance(error, RecursionError) else str(error)
        first = (reason.splitlines() or [type(error).__name__])[0]
        raise BadInput(f"YAML syntax: {first}", place=source, remedy="a recipe is a YAML text file") from error


def plain(node: Any, path: Key = (), left: Iterator[int] | None = None) -> Any:
    """Parsed YAML without the parser's own types; keys become strings.

    Raises ValueError where it nests too deep, aliases make it too large, or a key or a number cannot be told.
    """
    left = iter(range(_MOST)) if left is None else left
    if len(path) > _DEEPEST:
        raise ValueError(_TOO_DEEP)
    if next(left, None) is None:
        msg = f"{'.'.join(path[:3])}: more than {_MOST} values, counting each alias as what it stands for"
        raise ValueError(msg)
    if isinstance(node, dict):
        if len({*map(str, node)}) < len(node):
            keys = [str(key) for key in node]
            msg = f"{next(key for key in keys if keys.count(key) > 1)!r} is there twice, as text and as a number"
            raise ValueError(msg)
        return {str(key): plain(value, (*path, str(key)), left) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value, (*path, str(index)), left) for index, value in enumerate(node)]
    if isinstance(node, int) and node.bit_length() > _BITS:
        msg = f"{'.'.join(path) or 'it'}: a number of {node.bit_length() * 3 // 10} digits"
        raise ValueError(msg)
    for kind in (ScalarBoolean, int, float, str):  # ruamel's scalars are subclasses that remember their spelling
        if isinstance(node, kind):
            return bool(node) if isinstance(node, bool | ScalarBoolean) else kind(node)
    return None if node is None else str(node)


def _lines(node: Any, path: Key = ()) -> Iterator[tuple[Key, int]]:
    if isinstance(node, CommentedMap):
        for key, value in node.items():
            position = node.lc.data.get(key) if node.lc.data else None
            if position:
                yield (*path, str(key)), position[0] + 1
            yield from _lines(value, (*path, str(key)))
    elif isinstance(node, CommentedSeq):
        for index, value in enumerate(node):
            yield from _lines(value, (*path, str(index)))


def parse_override(text: str) -> tuple[Key, Any]:
    """Split "a.b=value" of the command line; the value is YAML."""
    name, equals, value = text.partition("=")
    path = tuple(name.strip().split("."))
    if not equals or not all(path) or len(path) > _DEEPEST:
        shown = text if len(text) < _SHOWN else f"{text[:_SHOWN]}..."
        raise BadInput(f"{shown!r} is no override", place="command line", remedy="write key=value, such as seed=1")
    return path, parse_yaml(value, f"command line: {name}")[0]


def override(path: Key, value: Any) -> Config:
    """A Config that holds one value of the command line."""
    places = dict.fromkeys((path, *_paths(value, path)), "command line")
    for key in reversed(path):
        value = {key: value}
    return Config(value, places)


def _paths(value: Any, path: Key) -> Iterator[Key]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            yield from _paths(item, (*path, key))


def references(value: Any) -> set[Key]:
    """The paths that any ${a.b} within a value names."""
    if isinstance(value, dict | list):
        return set(chain.from_iterable(map(references, value.values() if isinstance(value, dict) else value)))
    return {tuple(match[1].split(".")) for match in _REFERENCE.finditer(value)} if isinstance(value, str) else set()


def overlap(one: Key, other: Key) -> bool:
    """Whether one of two paths lies within the other."""
    return one[: len(other)] == other or other[: len(one)] == one


def resolve_references(config: Config) -> Config:
    """Replace each ${a.b} by the value at that path. Raises BadInput for unknown paths, cycles, and what never ends."""
    return Config(_References(config).resolve(config.values, (), ()), config.places)


@dataclass
class _References:
    config: Config
    left: int = _MOST

    def resolve(self, value: Any, place: Key, active: tuple[Key, ...]) -> Any:
        self.left -= 1
        if self.left < 0:
            cause = f"more than {_MOST} values, counting each reference as what it stands for"
            raise self.config.error(place, cause, "refer to less, or write it out")
        if isinstance(value, dict):
            return {key: self.resolve(item, (*place, key), active) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, place, active) for item in value]
        if not isinstance(value, str) or not (found := list(_REFERENCE.finditer(value))):
            return value
        parts = [self._follow(tuple(match[1].split(".")), place, active) for match in found]
        return parts[0] if found[0].group() == value else self._inserted(value, parts, place)

    def _inserted(self, text: str, parts: list[Any], place: Key) -> str:
        texts = [str(part) for part in parts]
        if sum(map(len, texts)) > _LONGEST:
            cause = f"longer than {_LONGEST} characters, once its references are followed"
            raise self.config.error(place, cause, "refer to less")
        each = iter(texts)
        return _REFERENCE.sub(lambda _: next(each), text)

    def _follow(self, path: Key, place: Key, active: tuple[Key, ...]) -> Any:
        if path in active or place[: len(path)] == path:
            chain = " -> ".join(".".join(p) for p in (*active, path))
            raise self.config.error(place, f"a cycle of references: {chain}", "write one of them out")
        if len(active) > _CHAIN or len(place) > _DEEPEST:
            cause = f"{_TOO_DEEP}, or {_CHAIN} references to references"
            raise self.config.error(place, cause, "write some of them out")
        return self.resolve(_lookup(self.config, path, place), place, (*active, path))


def _lookup(config: Config, path: Key, place: Key) -> Any:
    node: Any = config.values
    for key in path:
        if not isinstance(node, dict) or key not in node:
            known = list(node) if isinstance(node, dict) else []
            raise config.error(place, f"${{{'.'.join(path)}}} names nothing", did_you_mean(key, known))
        node = node[key]
    return node
