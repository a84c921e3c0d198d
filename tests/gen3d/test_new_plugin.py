"""The skeleton of a plugin: what is written, what is refused, and that it works when it is installed."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from gen3d.cli import cli, guarded
from gen3d.errors import BadInput
from gen3d.new_plugin import new_plugin, skeleton
from gen3d.plugins import Plugins, installed
from wheels import install

EXAMPLE = Path(__file__).parents[2] / "examples" / "gen3d-palette"
FILES = ["README.md", "gen3d_soft_shadow.py", "pyproject.toml", "recipe.yaml", "test_soft_shadow.py"]


def test_the_documented_plugin_is_the_skeleton() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in EXAMPLE.iterdir() if path.is_file()}
    assert skeleton("palette") == written


def test_the_templates_are_part_of_the_package() -> None:
    root = EXAMPLE.parents[1]
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    templates = list((root / "gen3d" / "scaffold").iterdir())
    assert len(templates) == len(FILES)
    for path in templates:
        assert any(path.match(pattern) for pattern in settings["package-data"]["*"]), path.name


@pytest.mark.parametrize(("name", "class_name"), [("soft_shadow", "SoftShadow"), ("x2", "X2"), ("a__b_", "AB")])
def test_the_name_is_everywhere(name: str, class_name: str) -> None:
    files = skeleton(name)
    module, test = files[f"gen3d_{name}.py"], files[f"test_{name}.py"]
    compile(module, "module", "exec")
    compile(test, "test", "exec")
    assert f"class {class_name}(gen3d.Guidance)" in module
    assert f'registry.guidance("{name}", {class_name})' in module
    assert f"from gen3d_{name} import {class_name}" in test
    assert f'{name} = "gen3d_{name}"' in files["pyproject.toml"]
    assert not any(mark in text for text in files.values() for mark in ("NAME", "CLASS"))


def test_a_folder_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    written = new_plugin("soft_shadow", tmp_path / "deep" / "er", Plugins())
    folder = tmp_path / "deep" / "er" / "gen3d-soft_shadow"
    assert written == [folder / name for name in FILES]
    assert {path.name: path.read_text(encoding="utf-8") for path in written} == skeleton("soft_shadow")
    assert list(folder.parent.iterdir()) == [folder]
    assert folder.stat().st_mode & 0o055 == 0o055 & ~umask()  # readable by others, as any new folder


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("name", ["", "my-plugin", "My", "2d", "class", "a.b", "../up", "größe", "_x", "a b"])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="is no name for a plugin") as refused:
        new_plugin(name, tmp_path)
    assert "lower-case" in refused.value.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "owner"), [("opacity", "regularizers"), ("regularizers", "regularizers")])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, name: str, owner: str) -> None:
    with pytest.raises(BadInput, match=f"taken by the installed plugin '{owner}'"):
        new_plugin(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "gen3d-fog"
    folder.mkdir()
    (folder / "mine.txt").write_text("work of years")
    with pytest.raises(BadInput, match="already exists") as refused:
        new_plugin("fog", tmp_path, Plugins())
    assert refused.value.place == str(folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["gen3d-fog", "mine.txt"]


def test_a_directory_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written") as refused:
        new_plugin("fog", tmp_path / "file", Plugins())
    assert refused.value.place == str(tmp_path / "file" / "gen3d-fog")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = Path.write_text, iter(range(100))

    def fail_late(self: Path, *text: str, **how: str) -> int:
        if next(calls) == 3:
            raise OSError(28, "No space left on device")
        return write(self, *text, **how)

    monkeypatch.setattr(Path, "write_text", fail_late)
    with pytest.raises(BadInput, match="No space left"):
        new_plugin("fog", tmp_path, Plugins())
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote_and_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = lambda: cli.main(["new-plugin", "soft_shadow"], standalone_mode=False)  # noqa: E731
    assert guarded(command) == 0
    assert capsys.readouterr().out.splitlines() == [
        *(f"gen3d-soft_shadow/{name}" for name in FILES),
        "now: pip install -e gen3d-soft_shadow && gen3d plugins",
    ]
    assert guarded(command) == 2
    assert capsys.readouterr().err.startswith("error: gen3d-soft_shadow: already exists\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("skeleton")
    new_plugin("soft_shadow", work, Plugins())
    (work / "build").mkdir()
    return install(work / "gen3d-soft_shadow", work / "build")


def test_an_installed_skeleton_is_listed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    installed.cache_clear()
    try:
        shown = CliRunner().invoke(cli, ["plugins", "--json"], catch_exceptions=False).stdout
    finally:
        installed.cache_clear()
        sys.modules.pop("gen3d_soft_shadow", None)
    (status,) = (status for status in json.loads(shown) if status["name"] == "soft_shadow")
    expected = {"version": "0.1.0", "status": "ok", "error": None, "provides": ["guidance:soft_shadow"]}
    assert status == {"name": "soft_shadow", **expected}


@pytest.mark.parametrize("beside", [False, True])
def test_an_installed_skeleton_passes_its_own_tests(site: Path, *, beside: bool) -> None:
    """In its folder and from the one around it; among them a run of its recipe, which finds it by its entry point."""
    folder = site.parents[1] / "gen3d-soft_shadow"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error::UserWarning", "-p", "no:cacheprovider", str(folder)],
        cwd=folder.parent if beside else folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
