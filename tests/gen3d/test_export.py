"""Exporting a run's object, and another program's mesh, by an exporter that writes down what it was asked."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

import core_toys
from core_toys import write_recipe
from gen3d.errors import BadInput, Unsupported
from gen3d.export import export, export_file
from gen3d.exporter import Exporter
from gen3d.plugins import installed
from gen3d.registry import Component
from gen3d.run import run


class Clerk(Exporter):
    """Writes nothing, and remembers."""

    asked: ClassVar[list[tuple[Any, ...]]] = []
    known: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, format: str | list[str] = "glb", triangles: int | None = None) -> None:  # noqa: A002
        super().__init__()
        self.keys = (format, triangles)

    def export(self, representation: Any, directory: Path, name: str = "asset") -> list[Path]:
        self.asked.append((type(representation).__name__, directory, name, *self.keys))
        self.known.append(dict(self.provenance))
        return [directory / name]

    def export_file(self, file: Path, directory: Path, name: str = "asset") -> list[Path]:
        self.asked.append((file, directory, name, *self.keys))
        return [directory / name]


@pytest.fixture(autouse=True)
def clerk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr("gen3d.plugins.entry_points", lambda group: [])
    monkeypatch.setenv("GEN3D_PLUGINS", core_toys.__file__)
    monkeypatch.chdir(tmp_path)
    installed.cache_clear()
    for name in ("game_mesh", "clerk"):
        installed().registry.add(Component("exporter", name, "tests", Clerk))
    Clerk.asked.clear()
    Clerk.known.clear()
    yield Clerk
    installed.cache_clear()


OUT = Path("there")


@pytest.mark.parametrize(
    ("out", "overrides", "expected"),
    [
        (OUT, [], (OUT, "asset", "glb", None)),
        (OUT, ["format=obj", "triangles=7"], (OUT, "asset", "obj", 7)),
        (OUT / "a.obj", [], (OUT, "a", "obj", None)),
        (OUT / "a.OBJ", ["format=glb"], (OUT, "a", ["obj", "glb"], None)),
        (OUT / "a.glb", ["format=[usdz, glb]", "triangles=7"], (OUT, "a", ["glb", "usdz"], 7)),
    ],
)
def test_the_place_names_the_format(clerk: Any, out: Path, overrides: list[str], expected: tuple[Any, ...]) -> None:
    export_file(Path("mesh.stl"), out, overrides)
    assert clerk.asked == [(Path("mesh.stl"), *expected)]


def test_a_run_tells_the_exporter_what_it_was_made_with(clerk: Any, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    run(recipe, ["output=out", "export.type=clerk", "inputs.prompt=a ball", "seed=3"])
    export(Path("out"), OUT)
    assert clerk.asked == [
        ("Ball", Path("out/asset"), "asset", "glb", None),
        ("Ball", OUT, "asset", "glb", None),
    ]
    first, again = clerk.known
    assert first["prompt"] == again["prompt"] == "a ball"
    assert first["seed"] == again["seed"] == 3
    assert first["models"] == []


def test_an_exporter_of_runs_alone_is_refused_with_the_way_out() -> None:
    with pytest.raises(Unsupported, match="'words' exports runs, and no files") as raised:
        export_file(Path("mesh.glb"), OUT, ["type=words"])
    assert "game_mesh" in raised.value.remedy


def test_keys_are_checked_by_name() -> None:
    with pytest.raises(BadInput, match="unknown key 'trianglse'"):
        export_file(Path("mesh.glb"), OUT, ["trianglse=7"])
