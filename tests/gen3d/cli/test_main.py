"""The command line itself: help, exit codes, and commands that plugins bring."""

import os
import resource
import subprocess
import sys
from importlib.metadata import EntryPoint, version
from pathlib import Path
from typing import Any

import click
import pytest

from gen3d import errors
from gen3d.cli import CORE, guarded


def program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """`python -m gen3d` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "gen3d", *arguments], capture_output=True, text=True, check=False, **options
    )


def test_help_imports_no_torch_and_no_plugin() -> None:
    code = (
        "import sys\nfrom gen3d.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('IMPORTED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    text, _, imported = printed.partition("IMPORTED")
    assert "run " in text
    assert not {"torch", "numpy", "diffusers", "pydantic", "PIL"} & set(imported.split())
    assert [name for name in imported.split() if name.startswith("gen3d_")] == []


def test_help_is_quick() -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert program("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.5  # of the processor: the machine may be busy


def test_help_lists_every_command_with_its_summary() -> None:
    lines = program("--help").stdout.partition("Commands:")[2].splitlines()
    listed = {line.split()[0]: line for line in lines if line.startswith("  ") and line[2] != " "}
    assert set(CORE) | {"train", "render-dataset", "eval"} <= set(listed)
    assert "every stage" in listed["run"]


def test_python_m_is_the_same_program() -> None:
    assert program("--version").stdout == f"gen3d {version('gen3d')}\n"
    bad = program("recipes", "cat", "no_such_recipe")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("error: no_such_recipe: does not exist\n")
    assert "Traceback" not in bad.stderr


def test_every_command_explains_itself(gen3d: Any) -> None:
    for name in CORE:
        answer = gen3d(name, "--help")
        assert answer.code == 0
        assert f"Usage: gen3d {name}" in answer.out


@pytest.mark.parametrize(
    ("raised", "code", "text"),
    [
        (errors.BadInput("no", place="r.yaml:3", remedy="yes"), 2, "error: r.yaml:3: no\n  yes\n"),
        (errors.Unsupported("no"), 2, "error: no\n"),
        (errors.Unavailable("no weights"), 3, "error: no weights\n"),
        (errors.OutOfMemory("too large"), 4, "error: too large\n"),
        (MemoryError(), 4, "error: out of memory\n  lower the resolution, cameras.size or cameras.views\n"),
        (errors.Degenerate("empty"), 5, "error: empty\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (KeyboardInterrupt("to go on: gen3d resume out"), 130, "interrupted: to go on: gen3d resume out\n"),
        (click.exceptions.Abort(), 130, "interrupted\n"),
        (click.UsageError("what?"), 2, "Error: what?\n"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_what_is_raised_becomes_a_message_and_an_exit_code(
    raised: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise raised

    assert guarded(command) == code
    assert capsys.readouterr().err == text


def test_a_bug_keeps_its_traceback() -> None:
    def command() -> None:
        raise AssertionError

    with pytest.raises(AssertionError):
        guarded(command)


def test_done_is_0() -> None:
    assert guarded(lambda: None) == 0


@pytest.mark.parametrize(
    "arguments", [["rnu"], ["run"], ["run", "--dry"], ["run", "a", "--profile"], ["describe", "a", "b", "c"]]
)
def test_wrong_usage_is_bad_input(gen3d: Any, arguments: list[str]) -> None:
    answer = gen3d(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert "Usage: gen3d" in answer.err or answer.err.startswith("Error: ")


def test_a_plugins_command_that_cannot_be_loaded_is_named_and_spoils_no_help(
    gen3d: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "shop_syntax.py").write_text("def (:\n")
    (tmp_path / "shop_exit.py").write_text('"""Sell."""\nimport sys; sys.exit(1)\n')
    monkeypatch.syspath_prepend(tmp_path)
    points = [EntryPoint(name, f"shop_{name}:command", "gen3d.commands") for name in ("syntax", "exit", "gone")]
    monkeypatch.setattr("gen3d.cli.entry_points", lambda group: points)
    help_text = gen3d("--help")
    assert help_text.code == 0
    assert "Sell." in help_text.out
    for name, error in (("syntax", "SyntaxError"), ("exit", "SystemExit"), ("gone", "ModuleNotFoundError")):
        answer = gen3d(name)
        assert answer.code == 3
        assert answer.err.startswith(f"error: plugin shop_{name}: the command {name!r} cannot be loaded: {error}")


@pytest.mark.parametrize("kind", ["interrupt", "terminate"])
def test_ctrl_c_and_a_request_to_stop_exit_with_130(tmp_path: Path, kind: str) -> None:
    import core_toys

    recipe = core_toys.write_recipe(tmp_path)
    environment = {**os.environ, "GEN3D_PLUGINS": core_toys.__file__}
    stop = f"guidance.stop={{type: trouble, kind: {kind}}}"
    answer = program("run", str(recipe), stop, f"output={tmp_path / 'out'}", env=environment, cwd=tmp_path)
    assert answer.returncode == 130
    assert answer.stderr.endswith(f"interrupted: to go on: gen3d resume {tmp_path / 'out'}\n")
    assert "Traceback" not in answer.stderr
    assert '"status": "interrupted"' in (tmp_path / "out" / "run.json").read_text()
