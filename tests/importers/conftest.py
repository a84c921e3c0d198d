"""Assets as the exporter writes them, and the programs of others that read them."""

import importlib.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from gen3d_export.game_mesh import GameMesh
from importer_assets import ASSETS, Export, subject

HERE = Path(__file__).parent
BLENDER = HERE.parents[1] / ".venv-blender" / "bin" / "python"
PATIENCE = 300
"""Seconds for a program that shares its cores with others."""


def missing(what: str, remedy: str) -> None:
    """Skip on a person's machine; fail where all importers are wanted."""
    text = f"{what} is not here: {remedy}"
    if os.environ.get("GEN3D_IMPORTERS") == "required":
        pytest.fail(text)
    pytest.skip(text)


def found(output: str) -> Any:
    """What a script has printed after FOUND; shows all of it where there is nothing."""
    lines = [line for line in output.splitlines() if line.startswith("FOUND ")]
    assert lines, output
    return json.loads(lines[-1].removeprefix("FOUND "))


def output_of(*command: str | Path, **keywords: Any) -> str:
    """The standard output of a program, which has to succeed."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE, check=False, **keywords
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def needs(name: str) -> None:
    """What else the exporter needs for an asset."""
    if name == "meshopt" and not shutil.which("gltf-transform"):
        missing("gltf-transform", "`make importers`")
    for package, wanted in {"draco": "DracoPy", "usdz": "pxr"}.items():
        if name == package and importlib.util.find_spec(wanted) is None:
            missing(wanted, "pip install 'gen3d[usd,draco]'")


@pytest.fixture(scope="session", autouse=True)
def _programs_of_node() -> Iterator[None]:
    """What `make importers` has installed is on the PATH."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(HERE / "node_modules" / ".bin"), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session")
def asset(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Export]:
    """One of `ASSETS` by its name; made once for all processes that test."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "assets"
    root.mkdir(exist_ok=True)

    def make(name: str) -> Export:
        with FileLock(root / f"{name}.lock"):
            folder = root / name
            if not folder.is_dir():
                needs(name)
                GameMesh(**ASSETS[name]).export(subject(), root / f"{name}.part", "thing")
                (root / f"{name}.part").rename(folder)
        return Export(folder)

    return make


@pytest.fixture(scope="session")
def node() -> Callable[..., Any]:
    """Run a script of this folder in Node on files, and read the JSON that it prints."""
    if shutil.which("node") is None or not (HERE / "node_modules").is_dir():
        missing("Node with three.js and the glTF validator", "install Node.js 20, then `make importers`")
    return lambda script, *files: json.loads(output_of("node", HERE / script, *files))


@pytest.fixture(scope="session")
def blender() -> Callable[[Path, Path], list[dict[str, Any]]]:
    """Import a file in Blender: tell what is there, and draw it to a picture."""
    script, program = HERE / "render_blender.py", shutil.which("blender")
    if BLENDER.is_file():
        command = [str(BLENDER), str(script)]
    elif program:
        command = [program, "--background", "--python-exit-code", "1", "--python", str(script)]
    else:
        missing("Blender", "`make importers` with Python 3.11 installs its module, or install Blender")
    return lambda file, picture: found(output_of(*command, "--", file, picture))


@pytest.fixture(scope="session")
def godot() -> Callable[[Path, list[Path]], dict[str, Any]]:
    """Import GLBs in Godot 3, in a project of their own, and tell what came out."""
    program = shutil.which("godot3-server")
    if program is None:
        missing("Godot", "apt-get install godot3-server")

    def run(folder: Path, files: list[Path]) -> dict[str, Any]:
        folder.mkdir(parents=True)
        (folder / "project.godot").write_text("config_version=4\n")
        shutil.copy(HERE / "inspect_godot.gd", folder)
        for file in files:
            shutil.copy(file, folder)
        home = {**os.environ, "HOME": str(folder / "home")}
        _import(str(program), folder, len(files), home)
        names = [f"res://{file.name}" for file in files]
        return found(output_of(program, "--path", folder, "-s", "inspect_godot.gd", *names, env=home))

    return run


def _import(program: str, folder: Path, count: int, home: dict[str, str]) -> None:
    """Let the editor import everything. It does not end by itself, so it is ended when all results are there."""
    command = [program, "--path", str(folder), "--editor", "--quit"]
    with (folder / "import.log").open("w") as log:
        editor = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=home)
    try:
        end = time.monotonic() + PATIENCE
        while len(list((folder / ".import").glob("*.glb-*.md5"))) < count:  # written after the scene
            assert editor.poll() in {None, 0}, (folder / "import.log").read_text()
            assert time.monotonic() < end, (folder / "import.log").read_text()
            time.sleep(0.2)
    finally:
        editor.kill()
        editor.wait()
