"""Input that somebody could have meant well, with something wrong with it; and what may come of it."""

import copy
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from gen3d.errors import Gen3dError

PATIENCE = 10.0
"""Seconds of the processor after which something hangs."""
LONGEST = 10_000
"""Characters of a message that somebody could read."""


def often(full: int, few: int) -> settings:
    """As many examples as `make fuzz` wants, or the few of every test run."""
    count = full if os.environ.get("GEN3D_FUZZ") else few
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


NASTY = st.one_of(
    st.sampled_from([None, True, -1, 0, 1, 10**9, 10**18, 10**400, -(10**30), 0.5, 1e308, -0.0]),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 5e-324]),
    st.sampled_from(["", " ", "x", "a" * 300, "\0", "../..", "é", "\ud800", "\u202e", "🦉", "\r\n", "%s{}", "-", "~"]),
    st.sampled_from(["${seed}", "${stages}", "${guidance}", "${", "${}", "${a.b}", "${name}${name}", "$${seed}"]),
    st.sampled_from(
        ["50%", "ramp", "null", "auto", "rgb", "cuda:99999999999999999999", "mps:1", "cpu:7", "1e3", "0x10"]
    ),
    st.sampled_from([[], {}, [1, 2], [2, 1], [[]], [None], {"type": "x"}, {"type": None}, {"type": ["x"]}]),
    st.sampled_from([{"0": 1, "50%": 2}, {"ramp": 3}, {"ramp": {}}, {"ramp": {"x": 1}}, {"999%": 1e308}, {"a": {}}]),
    st.recursive(
        st.integers(-1, 1), lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=2)
    ),
)


@dataclass(frozen=True)
class Change:
    """A recipe with one thing changed.

    Args:
        recipe: after the change.
        names: of what was changed: one of them has to stand in what a person is told.
    """

    recipe: dict[str, Any]
    names: frozenset[str]


def _containers(node: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every map and list of a tree with its path, itself first."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    inner = [found for key, item in items for found in _containers(item, (*path, str(key)))]
    return [(path, node), *inner] if isinstance(node, dict | list) else []


def _words(node: Any) -> set[str]:
    """The keys within a value, and its texts."""
    if isinstance(node, dict):
        return {str(key) for key in node} | {word for item in node.values() for word in _words(item)}
    if isinstance(node, list):
        return {word for item in node for word in _words(item)}
    return {node} if isinstance(node, str) and len(node) > 1 else set()


@st.composite
def changed(draw: st.DrawFn, base: dict[str, Any]) -> Change:
    """A recipe with a value replaced, removed, renamed, copied to another place or added."""
    recipe = copy.deepcopy(base)
    containers = _containers(recipe)
    path, place = draw(st.sampled_from(containers))
    around = {key for key in path[-2:] if not key.isdigit()}
    keys = list(place) if isinstance(place, dict) else list(range(len(place)))
    action = draw(st.sampled_from(["replace", "replace", "remove", "rename", "copy", "add"]))
    if action == "add" or not keys:
        key, value = draw(st.text(max_size=8)), draw(NASTY)
        if isinstance(place, list):
            place.append(value)
        else:
            place[key] = value
        return Change(recipe, frozenset({key, *around}))
    key = draw(st.sampled_from(keys))
    names = {str(key), *around, *_words(place[key])}
    if action == "rename" and isinstance(place, dict):
        new = draw(st.sampled_from([*map(str, keys), "type", "weight", "x"]))
        names |= {new, *_words(place.get(new))}
        place[new] = place.pop(key)
    elif action == "remove":
        del place[key]
    elif action == "copy":
        value = copy.deepcopy(draw(st.sampled_from(containers))[1])
        place[key] = value
        names |= _words(value)
    else:
        place[key] = draw(NASTY)
    return Change(recipe, frozenset(names))


def plain_yaml(text: str) -> Any:
    """A recipe without comments, to change."""
    return YAML(typ="safe", pure=True).load(text)


def as_yaml(recipe: Any) -> bytes:
    """YAML of anything, also of what is no Unicode."""
    stream, yaml = io.BytesIO(), YAML(typ="safe", pure=True)
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(recipe, stream)
    return stream.getvalue()


def told(call: Callable[[], object]) -> str:
    """What a person is told of a call that fails, "" of one that works; anything but a message is a defect."""
    began = time.process_time()
    error = _complaint(call)
    assert time.process_time() - began < PATIENCE
    if error is None:
        return ""
    assert error.exit_code in {2, 3, 4, 5}
    assert error.cause
    assert len(str(error)) < LONGEST
    return str(error)


def _complaint(call: Callable[[], object]) -> Gen3dError | None:
    try:
        call()
    except Gen3dError as error:
        return error
    return None


DAMAGE: dict[str, Callable[[bytes, int, bytes], bytes]] = {
    "cut": lambda data, at, _: data[:at],
    "flip": lambda data, at, new: (
        data[:at] + bytes(byte ^ (1 << new[0] % 8) for byte in data[at : at + 1]) + data[at + 1 :]
    ),
    "zero": lambda data, at, new: data[:at] + bytes(len(new)) + data[at + len(new) :],
    "ones": lambda data, at, new: data[:at] + b"\xff" * len(new) + data[at + len(new) :],
    "overwrite": lambda data, at, new: data[:at] + new + data[at + len(new) :],
    "insert": lambda data, at, new: data[:at] + new + data[at:],
    "repeat": lambda data, at, new: data[:at] + data[at : at + len(new)] * 3 + data[at:],
    "remove": lambda data, at, new: data[:at] + data[at + len(new) :],
    "swap": lambda data, at, _: data[at:] + data[:at],
}
"""What can happen to the bytes of a file, at a place, with other bytes."""


@st.composite
def damaged_bytes(draw: st.DrawFn, *files: bytes) -> bytes:
    """One of these files, damaged up to three times."""
    data = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 3))):
        size = draw(st.sampled_from([1, 2, 4, 8, 64]))
        new, at = draw(st.binary(min_size=size, max_size=size)), draw(st.integers(0, len(data)))
        data = DAMAGE[draw(st.sampled_from(sorted(DAMAGE)))](data, at, new)
    return data
