"""Plugins: found, loaded, and kept from harming the tool where they are broken."""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from core_toys import RECIPE, core_plugins, toy_run
from gen3d import hookimpl
from gen3d.errors import Unavailable
from gen3d.plugins import Plugins, installed, load_plugins
from gen3d.registry import Registrar

PALETTE = '''\
"""Pull rendered colours towards a palette."""
import gen3d, torch

class Palette(gen3d.Guidance):
    """Mean distance from each covered pixel to its nearest palette colour."""
    needs = frozenset({"image", "alpha"})

    def __init__(self, colors: list[list[float]]) -> None:
        super().__init__()
        self.register_buffer("colors", torch.tensor(colors))

    def forward(self, step, *views):
        gap = torch.cdist(views[0].color.reshape(-1, 3), self.colors).amin(dim=1)
        alpha = views[0].alpha.flatten()
        return gen3d.Signal(loss=(gap * alpha).sum() / alpha.sum().clamp_min(1))

@gen3d.hookimpl
def register_components(registry):
    registry.guidance("palette", Palette)
'''
"""A whole third-party plugin, as the documentation shows it."""

HOOK = "import gen3d\n@gen3d.hookimpl\n"
TAKEN = "def register_components(registry):\n    registry.prior('own', 'a:B')\n    registry.guidance('toward', 'a:B')"
BROKEN = {
    "missing": ("import module_of_nobody", "ModuleNotFoundError: No module named 'module_of_nobody'"),
    "syntax": ("def register_components(", "SyntaxError"),
    "exits": ("import sys; sys.exit('no GPU')", "SystemExit: no GPU"),
    "typo": (f"{HOOK}def register_component(registry): pass", "unknown hook 'register_component'"),
    "argument": (f"{HOOK}def register_components(registrar): pass", "registrar"),
    "fails": (f"{HOOK}def register_components(registry): 1 / 0", "ZeroDivisionError"),
    "taken": (HOOK + TAKEN, "guidance 'toward' is already registered by plugin 'core_toys'"),
}
"""Plugins with what is wrong with each, and what is said about it."""


def module(name: str, source: str) -> ModuleType:
    """A module of this source."""
    result = ModuleType(name)
    exec(source, result.__dict__)
    return result


@pytest.fixture
def with_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """Write plugin files and list them in GEN3D_PLUGINS."""

    def write(**sources: str) -> None:
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.setenv("GEN3D_PLUGINS", ",".join(str(tmp_path / f"{name}.py") for name in sources))

    before = set(sys.modules)
    yield SimpleNamespace(write=write)
    for name in set(sys.modules) - before:
        if name.startswith("gen3d_plugin_file_"):
            del sys.modules[name]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_reported_and_leaves_nothing_behind(kind: str) -> None:
    plugins = core_plugins()
    before = dict(plugins.registry.components)
    source, error = BROKEN[kind]
    plugins.load(kind, "1.0", lambda: module(kind, source))
    status = plugins.statuses[-1].as_json()
    assert list(status) == ["name", "version", "status", "error", "provides"]
    assert error in status["error"]
    assert (status["name"], status["version"], status["status"], status["provides"]) == (kind, "1.0", "failed", [])
    assert plugins.registry.components == before
    assert not plugins.manager.has_plugin(kind)


def test_good_plugins_survive_all_broken_ones_in_any_order() -> None:
    for order in (list(BROKEN), list(reversed(BROKEN))):
        plugins = core_plugins()
        for name in order:
            plugins.load(name, "1", lambda name=name: module(name, BROKEN[name][0]))
        plugins.load("palette", "1", lambda: module("palette", PALETTE))
        assert plugins.statuses[-1].provides == ["guidance:palette"]
        assert plugins.registry.names("guidance") == ["palette", "toward", "trouble"]


def test_ctrl_c_while_a_plugin_loads_ends_the_tool() -> None:
    with pytest.raises(KeyboardInterrupt):
        Plugins().load("slow", "1", lambda: module("slow", "raise KeyboardInterrupt"))


def test_the_first_of_two_plugins_of_a_name_wins() -> None:
    plugins = core_plugins()
    plugins.load("core_toys", "2.0", lambda: module("other", PALETTE))
    assert [status.status for status in plugins.statuses] == ["ok", "failed"]
    assert "'core_toys' is already taken" in str(plugins.statuses[1].error)
    assert "palette" not in plugins.registry.names("guidance")


def test_a_recipe_that_names_a_component_of_a_broken_plugin_gets_its_error(tmp_path: Path) -> None:
    plugins = core_plugins()
    plugins.load("palette", "1", lambda: module("palette", "import a_module_that_is_not_there\n" + PALETTE))
    message = r"guidance\.paint\.type: unknown guidance 'palette'(.|\n)*No module named"
    with pytest.raises(Unavailable, match=message) as caught:
        toy_run(tmp_path, "guidance.paint={type: palette, colors: [[1, 0, 0]]}", plugins=plugins)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_the_documented_plugin_works_in_a_run(tmp_path: Path, with_files: SimpleNamespace) -> None:
    with_files.write(palette=PALETTE)
    plugins = core_plugins()
    plugins.load("palette", "file", lambda: module("palette", PALETTE))
    palette = "guidance={palette: {type: palette, colors: [[0, 1, 0], [1, 0, 0]]}, paint: null}"
    run = toy_run(tmp_path, palette, "steps=60", "representation.radius=0.45", "optimizer.lr=0.02", plugins=plugins)
    color = run.stages[0].representation.get_parameter("color")
    run.start()
    assert (color - torch.tensor([1.0, 0, 0])).norm() < 0.2  # from 0.37 away, to the nearer one
    listed = {status.name: status for status in load_plugins().statuses}
    assert (listed["palette"].status, listed["palette"].provides) == ("ok", ["guidance:palette"])


def test_a_plugin_file_may_hold_dataclasses_and_hide_no_module(with_files: SimpleNamespace) -> None:
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 0\n"
    )
    with_files.write(json=source + PALETTE)
    status = {status.name: status for status in load_plugins().statuses}["json"]
    assert (status.status, status.error) == ("ok", None)
    assert "Palette" not in vars(sys.modules["json"])


def test_files_that_are_not_there_or_no_python_are_reported(
    with_files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEN3D_PLUGINS", "/nowhere/gone.py,notes.txt,")
    statuses = {status.name: status for status in load_plugins().statuses}
    assert "FileNotFoundError" in str(statuses["gone"].error)
    assert "no Python file" in str(statuses["notes"].error)


def test_entry_points_load_in_the_order_of_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint(name, value, "gen3d") for name, value in (("b", "core_toys"), ("a", "not_there_at_all"))]
    monkeypatch.setattr("gen3d.plugins.entry_points", lambda group: points)
    statuses = load_plugins().statuses
    assert [(status.name, status.status) for status in statuses] == [("a", "failed"), ("b", "ok")]


def test_every_plugin_of_this_repository_loads_lazily() -> None:
    statuses = [status for status in installed().statuses if status.version != "file"]
    assert [status.name for status in statuses if status.error] == []
    code = "import sys; from gen3d.plugins import installed; installed(); print('torch' in sys.modules)"
    import subprocess

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout == "False\n"


def test_an_observer_that_fails_is_told_of_once_and_muted(tmp_path: Path) -> None:
    class Observer:
        def __init__(self, fails: bool) -> None:
            self.fails, self.seen = fails, 0

        @hookimpl
        def step_finished(self, step: object) -> None:
            self.seen += 1
            if self.fails:
                raise OSError("disk full")

        @hookimpl
        def run_finished(self, run: object, error: BaseException | None) -> None:
            self.finished = error

    plugins = core_plugins()
    good, bad = Observer(fails=False), Observer(fails=True)
    plugins.load("good", "1", lambda: good)
    plugins.load("bad", "1", lambda: bad)
    run = toy_run(tmp_path, plugins=plugins)
    run.start()
    assert (good.seen, bad.seen) == (3, 1)
    assert run.warnings == ["plugin 'bad' failed in step_finished and is muted: OSError: disk full"]
    assert good.finished is None
    assert not hasattr(bad, "finished")


def test_what_fails_when_the_run_has_ended_is_recorded_too(tmp_path: Path) -> None:
    class Last:
        @hookimpl
        def run_finished(self) -> None:
            raise OSError("disk full")

    plugins = core_plugins()
    plugins.load("last", "1", Last)
    run = toy_run(tmp_path, plugins=plugins)
    run.start()
    record = json.loads((run.directory / "run.json").read_text())
    assert record["status"] == "done"
    assert record["warnings"] == ["plugin 'last' failed in run_finished and is muted: OSError: disk full"]


def test_hooks_fire_in_order_with_what_they_promise(tmp_path: Path) -> None:
    seen: list[str] = []

    class Observer:
        @hookimpl
        def run_started(self, run: object) -> None:
            seen.append(f"started {run.directory.name} {(run.directory / 'run.json').exists()}")  # type: ignore[attr-defined]

        @hookimpl
        def step_finished(self, run, step, views, signals) -> None:
            cameras = {type(key).__name__ for key in views}
            seen.append(f"{step.stage} {step.index} {cameras} {sorted(signals)} {sorted(run.terms)}")

        @hookimpl
        def run_finished(self, run, error) -> None:
            seen.append(f"finished {error} {run.stage.name}")

    plugins = core_plugins()
    plugins.load("observer", "1", Observer)
    toy_run(tmp_path, "steps=1", text=RECIPE, plugins=plugins).start()
    assert seen == ["started out True", "main 0 {'Cameras'} ['paint'] ['paint']", "finished None main"]


def test_a_registration_outside_the_known_kinds_is_an_error_of_the_plugin() -> None:
    class Odd:
        @hookimpl
        def register_components(self, registry: Registrar) -> None:
            registry._add("shader", "toon", "a:B")

    plugins = Plugins()
    plugins.load("odd", "1", Odd)
    assert "unknown kind 'shader'" in str(plugins.statuses[0].error)
