"""What a component's keys are, from its constructor and its docstring."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from gen3d.build import RESERVED, parameters, plain_part, type_name

if TYPE_CHECKING:
    from gen3d.registry import Component

_ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n {6,}.*)*)", re.MULTILINE)


def describe(component: Component) -> str:
    """The component's purpose, then a line for each key: name, type, default, meaning."""
    cls = component.load()
    lines = [f"{component.kind} {component.name} (plugin {component.plugin})", "", _purpose(cls), "", *_keys(cls)]
    for key, (type_, meaning) in RESERVED.get(component.kind, {}).items():
        lines.append(f"  {key}: {type_}\n      {meaning}")
    return "\n".join(lines)


def _purpose(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "").partition("\nArgs:\n")[0].rstrip()


def _keys(cls: type) -> list[str]:
    """Two lines for each key; those of a part in it follow, further to the right."""
    arguments = inspect.cleandoc(cls.__doc__ or "").partition("\nArgs:\n")[2]
    meanings = {name: " ".join(meaning.split()) for name, meaning in _ARGUMENT.findall(arguments)}
    lines = []
    for parameter in parameters(cls).values():
        default = "required" if parameter.required else f"default {parameter.shown_default}"
        lines.append(f"  {parameter.name}: {type_name(parameter.annotation)}, {default}")
        lines += [f"      {meanings[parameter.name]}"] if parameter.name in meanings else []
        if part := plain_part(parameter.annotation):
            lines += [f"    {line}" for line in _keys(part)]
    return lines
