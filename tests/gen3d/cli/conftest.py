"""The command line in this process, on toy parts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import core_toys
from gen3d.cli import cli, guarded
from gen3d.plugins import installed


@dataclass
class Answer:
    """What a command left: its exit code, and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def toys_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The toy parts are the only plugin."""
    monkeypatch.setattr("gen3d.plugins.entry_points", lambda group: [])
    monkeypatch.setenv("GEN3D_PLUGINS", core_toys.__file__)
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.fixture
def gen3d(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Call the command line as `main` does, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Answer:
        code = guarded(lambda: cli.main(args=[*map(str, arguments)], prog_name="gen3d", standalone_mode=False))
        return Answer(code, *capfd.readouterr())

    return call
