"""From what a recipe says to the parts it names: everything is checked against constructor signatures."""

from __future__ import annotations

import inspect
import json
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from gen3d.errors import Gen3dError
from gen3d.exporter import Exporter
from gen3d.guidance import Guidance, Objective, Prior
from gen3d.optimizer import Optimizer
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
RESERVED = {"guidance": ("weight",)}
"""Keys that the loop reads, not the component."""


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


def parameters(cls: type) -> dict[str, Parameter]:
    """The constructor's keywords. Raises TypeError where one lacks an annotation."""
    signature = inspect.signature(cls)
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return {}
    hints = get_type_hints(cls.__init__)  # type: ignore[misc]
    return {name: Parameter(name, hints.get(name, Any), p.default) for name, p in signature.parameters.items()}


def build_component(kind: str, config: Config, path: Key, registry: Registry) -> Any:
    """Construct what the map at `path` names by its `type`. Loads no weights."""
    value = _value(config, path)
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        names = ", ".join(registry.names(kind))
        raise config.error(path, f"a {kind} is a map with a `type`", f"write {{type: NAME, ...}}; names are {names}")
    place = config.place((*path, "type"))
    cls = registry.component(kind, value["type"], place).load()
    skip = ("type", *RESERVED.get(kind, ()))
    keys = {key: item for key, item in value.items() if key not in skip}
    return build(cls, keys, config, path, registry)


def build(cls: type, keys: dict[str, Any], config: Config, path: Key, registry: Registry) -> Any:
    """Call a constructor with validated keywords. Raises BadInput naming the place of what is wrong."""
    known = parameters(cls)
    for key in keys:
        if key not in known:
            raise config.unknown_key((*path, key), list(known))
    for parameter in known.values():
        if parameter.required and parameter.name not in keys:
            raise config.error(path, f"{parameter.name!r} is missing", f"add {parameter.name}: {describe_type(parameter)}")
    arguments = {
        key: convert(known[key].annotation, value, config, (*path, key), registry) for key, value in keys.items()
    }
    try:
        return cls(**arguments)
    except Gen3dError as error:
        raise type(error)(error.cause, place=error.place or config.place(path), remedy=error.remedy) from error


def convert(annotation: Any, value: Any, config: Config, path: Key, registry: Registry) -> Any:
    """A recipe's value as the annotated type."""
    kind = component_kind(annotation)
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    if value is None and type(None) in options:
        return None
    if kind:
        return build_component(kind, config, path, registry)
    try:
        if Schedule in options and not (isinstance(value, str) and str in options):
            return Schedule.of(value)
        if get_origin(annotation) is dict and isinstance(value, dict):
            inner = get_args(annotation)[1]
            return {key: convert(inner, item, config, (*path, key), registry) for key, item in value.items()}
        # JSON mode: strict about numbers and strings, yet a list may become a tuple, an integer a float.
        return TypeAdapter(annotation).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise config.error(path, f"{value!r} does not fit: {problem}", f"it is {type_name(annotation)}") from error
    except ValueError as error:
        raise config.error(path, str(error)) from error


def component_kind(annotation: Any) -> str | None:
    """The kind of component that an annotation asks for, if it does."""
    for option in (annotation, *get_args(annotation)):
        for kind, base in BASES.items():
            if isinstance(option, type) and get_origin(option) is None and issubclass(option, base):
                return kind
    return None


def type_name(annotation: Any) -> str:
    """An annotation as a reader of recipes would say it."""
    if get_origin(annotation) in (Union, types.UnionType):
        options = get_args(annotation)
        return " or ".join(type_name(option) for option in options if not (option is float and Schedule in options))
    if annotation is Schedule:
        return "a number or schedule"
    if annotation is type(None):
        return "null"
    kind = component_kind(annotation)
    if kind:
        return f"a {kind}"
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else _generic(annotation)


def _generic(annotation: Any) -> str:
    return str(annotation).replace("typing.", "").replace("gen3d.schedule.", "").replace("collections.abc.", "")


def describe_type(parameter: Parameter) -> str:
    """The type and the default of a key."""
    return type_name(parameter.annotation) + ("" if parameter.required else f" (default {parameter.default!r})")


def _value(config: Config, path: Key) -> Any:
    node: Any = config.values
    for key in path:
        node = node[int(key)] if isinstance(node, list) else node.get(key)
    return node
