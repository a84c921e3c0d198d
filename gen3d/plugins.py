"""Find, load and isolate plugins: a broken one is reported and never takes the tool down."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from gen3d import hookspecs
from gen3d.registry import Registrar, Registry

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = "gen3d"


@dataclass
class PluginStatus:
    """What `gen3d plugins` shows of one plugin."""

    name: str
    version: str
    status: str
    error: str | None = None
    provides: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """A plain object: name, version, status, error, provides."""
        return asdict(self)


class Plugins:
    """The loaded plugins, their components and their observers."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(GROUP)
        self.manager.add_hookspecs(hookspecs)
        self.registry = Registry()
        self.statuses: list[PluginStatus] = []
        self.muted: set[str] = set()

    def load(self, name: str, version: str, plugin: Callable[[], object]) -> None:
        """Import, register and ask for components; on any failure undo all of it and keep the error."""
        status = PluginStatus(name, version, "ok")
        self.statuses.append(status)
        try:
            if self.manager.has_plugin(name):
                msg = f"the name {name!r} is already taken"
                raise ValueError(msg)  # noqa: TRY301 (the same report as any other failure)
            self._register(name, plugin())
        except BaseException as error:  # a plugin may even call sys.exit() at import
            if isinstance(error, KeyboardInterrupt):
                raise
            status.status, status.error = "failed", f"{type(error).__name__}: {error}"
            self.registry.failed[name] = status.error
        else:
            mine = (c for c in self.registry.components.values() if c.plugin == name)
            status.provides = sorted(f"{c.kind}:{c.name}" for c in mine)

    def _register(self, name: str, plugin: object) -> None:
        before = dict(self.registry.components)
        self.manager.register(plugin, name=name)
        try:
            self.manager.check_pending()  # an unknown hook name is a typo: say so
            others = {other for other in self.manager.get_plugins() if other is not plugin}
            caller = self.manager.subset_hook_caller("register_components", remove_plugins=others)
            caller(registry=Registrar(self.registry, name))
        except BaseException:
            self.manager.unregister(name=name)  # pluggy leaves a half-registered plugin behind
            self.registry.components = before
            raise

    def notify(self, hook: str, warn: Callable[[str], None], /, **arguments: object) -> None:
        """Call an observer hook of every plugin; one that fails is reported once and muted."""
        self.ask(hook, warn, **arguments)

    def ask(self, hook: str, warn: Callable[[str], None], /, **arguments: object) -> list[Any]:
        """The answers of every plugin to a hook; one that fails is reported once and muted."""
        answers = []
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            name = implementation.plugin_name
            if name in self.muted:
                continue
            try:
                answers.append(implementation.function(*(arguments[key] for key in implementation.argnames)))
            except Exception as error:  # noqa: BLE001 (observers never end a run)
                self.muted.add(name)
                warn(f"plugin {name!r} failed in {hook} and is muted: {type(error).__name__}: {error}")
        return answers


def load_plugins() -> Plugins:
    """A fresh set of all installed plugins, and of the files that GEN3D_PLUGINS lists (comma-separated paths)."""
    plugins = Plugins()
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        plugins.load(entry.name, _version(entry), entry.load)
    for file in filter(None, os.environ.get("GEN3D_PLUGINS", "").split(",")):
        path = Path(file)
        plugins.load(path.stem, "file", functools.partial(_load_file, path))
    return plugins


@functools.cache
def installed() -> Plugins:
    """The plugins of this process, loaded on first use."""
    return load_plugins()


def _version(entry: EntryPoint) -> str:
    return entry.dist.version if entry.dist else "?"


def _load_file(path: Path) -> object:
    name = f"gen3d_plugin_file_{path.stem}"  # a prefix, so that it hides no other module
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        msg = f"{path} is no Python file"
        raise ImportError(msg)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module
