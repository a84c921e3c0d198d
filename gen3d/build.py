"""From what a recipe says to the parts it names: everything is checked against constructor signatures."""

from __future__ import annotations

import inspect
import json
import math
import types
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from gen3d.errors import Gen3dError, OutOfMemory, Unavailable
from gen3d.exporter import Exporter
from gen3d.guidance import Guidance, Objective, Prior
from gen3d.optimizer import Optimizer
from gen3d.part import Part
from gen3d.renderer import Renderer
from gen3d.representation import Representation
from gen3d.schedule import Schedule

if TYPE_CHECKING:
    from gen3d.config import Config, Key
    from gen3d.registry import Registry

BASES: dict[str, type] = {
    "representation": Representation,
    "renderer": Renderer,
    "guidance": Guidance,
    "prior": Prior,
    "objective": Objective,
    "optimizer": Optimizer,
    "exporter": Exporter,
}
WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
    Any: "anything",
    type(None): "null",
    Schedule: "a number or schedule",
}
"""Types as a reader of recipes would say them."""
RESERVED: dict[str, dict[str, tuple[str, str]]] = {
    "guidance": {"weight": ("a number or schedule, default 1", "factor of the loss; 0 switches the term off")},
    "representation": {"particles": ("a whole number, default 1", "how many of it; each step is about one of them")},
}
"""Keys of a stage's own parts that the loop reads, not the component: type and meaning."""


@dataclass(frozen=True)
class Parameter:
    """One recipe key of a component."""

    name: str
    annotation: Any
    default: Any = inspect.Parameter.empty

    @property
    def required(self) -> bool:
        """Whether a recipe must give it."""
        return self.default is inspect.Parameter.empty

    @property
    def shown_default(self) -> str:
        """The default as a recipe would write it."""
        return json.dumps(self.default, default=repr)


def parameters(cls: type) -> dict[str, Parameter]:
    """The constructor's keywords; one without an annotation takes anything."""
    try:
        hints = get_type_hints(cls.__init__)  # type: ignore[misc]
    except (NameError, AttributeError, TypeError) as error:
        cause = f"the constructor's annotations cannot be read: {error}"
        remedy = "the plugin is at fault: it must import these names where annotations are evaluated"
        raise Unavailable(cause, place=f"{cls.__module__}.{cls.__qualname__}", remedy=remedy) from error
    named = (p for p in inspect.signature(cls).parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
    return {p.name: Parameter(p.name, hints.get(p.name, Any), p.default) for p in named}


def build_component(kind: str, config: Config, path: Key, registry: Registry, *, nested: bool = False) -> Any:
    """Construct what the map at `path` names by its `type`. Loads no weights.

    A part that is `nested` in another has no keys that the loop reads.
    """
    value = _value(config, path)
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        names = ", ".join(registry.names(kind))
        raise config.error(path, f"{a(kind)} is a map with a `type`", f"write {{type: NAME, ...}}; names are {names}")
    component = registry.component(kind, value["type"], config.place((*path, "type")))
    cls = component.load()
    if not issubclass(cls, BASES[kind]):
        cause = f"{kind} {component.name!r} is a {cls.__name__}, which does not derive from {BASES[kind].__name__}"
        raise Unavailable(cause, place=f"plugin {component.plugin}", remedy="the plugin is at fault: update it")
    skip = ("type", *(() if nested else RESERVED.get(kind, ())))
    keys = {key: item for key, item in value.items() if key not in skip}
    return build(cls, keys, config, path, registry, reserved=skip)


def build(
    cls: type, keys: dict[str, Any], config: Config, path: Key, registry: Registry, reserved: tuple[str, ...] = ()
) -> Any:
    """Call a constructor with validated keywords. Raises BadInput naming the place of what is wrong.

    `reserved` are keys that were read before, and may be meant by a misspelt one.
    """
    known = parameters(cls)
    for key in keys:
        if key not in known:
            raise config.unknown_key((*path, key), [*known, *reserved])
    for parameter in known.values():
        if parameter.required and parameter.name not in keys:
            remedy = f"add {parameter.name}: {type_name(parameter.annotation)}"
            raise config.error(path, f"{parameter.name!r} is missing", remedy)
    arguments = {
        key: convert(known[key].annotation, value, config, (*path, key), registry) for key, value in keys.items()
    }
    try:
        return cls(**arguments)
    except Gen3dError as error:
        raise type(error)(error.cause, place=error.place or config.place(path), remedy=error.remedy) from error
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        if memory := OutOfMemory.of(error):
            raise memory from error
        # A constructor computes with what the recipe holds, so it is the recipe that it does not get along with.
        cause = f"{cls.__name__} cannot be made of these values: {type(error).__name__}: {error}"
        raise config.error(path, cause, "see `gen3d describe` for what each key means") from error


def convert(annotation: Any, value: Any, config: Config, path: Key, registry: Registry) -> Any:
    """A recipe's value as the annotated type."""
    options = union(annotation)
    if value is None and type(None) in options:
        return None
    if kind := component_kind(annotation):
        return build_component(kind, config, path, registry, nested=True)
    if part := plain_part(annotation):
        if not isinstance(value, dict):
            raise config.error(path, f"{value!r} does not fit", f"it is {type_name(annotation)}")
        return build(part, value, config, path, registry)
    try:
        if Schedule in options and not (isinstance(value, str) and str in options):
            return Schedule.of(value)
        inner = next((get_args(option)[1] for option in options if get_origin(option) is dict), None)
        if inner is not None and isinstance(value, dict):
            return {key: convert(inner, item, config, (*path, key), registry) for key, item in value.items()}
        _check_finite(value)
        # JSON mode: strict about numbers and strings, yet a list may become a tuple, an integer a float.
        return TypeAdapter(annotation).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise config.error(path, f"{value!r} does not fit: {problem}", f"it is {type_name(annotation)}") from error
    except PydanticUserError as error:
        raise config.error(path, f"a recipe cannot give a {type_name(annotation)}", "leave the key out") from error
    except ValueError as error:
        raise config.error(path, str(error)) from error


def _check_finite(value: Any) -> None:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_finite(item)
    elif isinstance(value, float) and not math.isfinite(value):
        msg = f"{value} does not fit: it is not finite"
        raise ValueError(msg)


def component_kind(annotation: Any) -> str | None:
    """The kind of component that an annotation asks for, if it does."""
    for option in union(annotation):
        for kind, base in BASES.items():
            if isinstance(option, type) and get_origin(option) is None and issubclass(option, base):
                return kind
    return None


def plain_part(annotation: Any) -> type | None:
    """The part that an annotation asks for, where it is of no kind: it has no `type`, there is only the one."""
    options = (option for option in union(annotation) if isinstance(option, type) and get_origin(option) is None)
    return (
        None if component_kind(annotation) else next((option for option in options if issubclass(option, Part)), None)
    )


def union(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation, itself where it is no union."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def type_name(annotation: Any) -> str:
    """An annotation as a reader of recipes would say it."""
    options = union(annotation)
    if len(options) > 1:
        return " or ".join(type_name(option) for option in options if not (option is float and Schedule in options))
    if kind := component_kind(annotation):
        return a(kind)
    if part := plain_part(annotation):
        return f"a map of {', '.join(parameters(part))}"
    if get_origin(annotation) is Literal:
        return " or ".join(map(repr, get_args(annotation)))
    return _collection_name(annotation) or WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _collection_name(annotation: Any) -> str | None:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is tuple and Ellipsis not in inner:
        return f"[{', '.join(map(type_name, inner))}]"
    if origin in (list, tuple):
        return f"a list, each {type_name(inner[0])}"
    return f"a map, each {type_name(inner[1])}" if origin is dict else None


def a(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _value(config: Config, path: Key) -> Any:
    node: Any = config.values
    for key in path:
        node = node[int(key)] if isinstance(node, list) else node.get(key)
    return node
