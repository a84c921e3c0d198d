"""Write the skeleton of a plugin: a guidance that works, with its recipe and its test, to be changed."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from gen3d.errors import BadInput

if TYPE_CHECKING:
    from gen3d.plugins import Plugins

_SUFFIX = ".in"  # keeps linters and test runners off the templates


def new_plugin(name: str, directory: Path = Path(), plugins: Plugins | None = None) -> list[Path]:
    """Write the folder `directory/gen3d-NAME`, all of it or nothing.

    The hyphen keeps the folder from being taken for the module that is in it, when Python runs beside it.

    Args:
        name: of the plugin, its recipe `type`, and, after `gen3d_`, of its module.
        directory: where the folder goes; made where it does not exist.
        plugins: those whose names are taken; default: the installed ones.

    Returns:
        The written files.

    Raises:
        BadInput: the name cannot be used, the folder exists, or the directory cannot be written to.
    """
    _check_name(name, plugins)
    folder = directory / f"gen3d-{name}"
    if folder.exists():
        raise BadInput("already exists", place=str(folder), remedy="choose another name or --directory")
    try:
        _write(skeleton(name), folder)
    except OSError as error:
        cause = f"cannot be written: {error.strerror}"
        raise BadInput(cause, place=str(folder), remedy="choose another --directory") from error
    return sorted(folder.iterdir())


def skeleton(name: str) -> dict[str, str]:
    """The files of the plugin `name` and what is in them."""
    class_name = "".join(word.capitalize() for word in name.split("_"))

    def filled(text: str) -> str:
        return text.replace("CLASS", class_name).replace("NAME", name)

    templates = (path for path in files("gen3d").joinpath("scaffold").iterdir() if path.name.endswith(_SUFFIX))
    return {filled(path.name.removesuffix(_SUFFIX)): filled(path.read_text(encoding="utf-8")) for path in templates}


def _check_name(name: str, plugins: Plugins | None) -> None:
    from gen3d.plugins import installed

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        cause = f"{name!r} is no name for a plugin"
        raise BadInput(cause, place="new-plugin", remedy="use lower-case letters, digits and _, such as soft_shadow")
    plugins = plugins or installed()
    taken = plugins.registry.components.get(("guidance", name))
    owner = taken.plugin if taken else next((s.name for s in plugins.statuses if s.name == name), None)
    if owner is not None:
        cause = f"the name {name!r} is taken by the installed plugin {owner!r}"
        raise BadInput(cause, place="new-plugin", remedy="choose another one; `gen3d plugins` lists what there is")


def _write(contents: dict[str, str], folder: Path) -> None:
    """Beside the folder first, then moved there, so that nobody finds half of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        inside = draft / folder.name  # a temporary folder is private; this one gets ordinary permissions
        inside.mkdir()
        for name, text in contents.items():
            (inside / name).write_text(text, encoding="utf-8")
        inside.rename(folder)
    finally:
        shutil.rmtree(draft)
