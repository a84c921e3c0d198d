"""The documentation: snippets are sources that are run here, commands work, interfaces are described as they are."""

import doctest
import importlib.util
import inspect
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

import gen3d
from gen3d import hookspecs
from gen3d.build import BASES
from gen3d.cli import cli
from gen3d.part import Part
from gen3d.plugins import Plugins, installed
from gen3d.recipe import Recipe
from gen3d.registry import KINDS
from gen3d.run import Run
from wheels import install

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = ROOT / "examples" / "gen3d-palette"
PLUGINS = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(?:<!-- from (?P<source>\S+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
CODE = {"python", "toml", "yaml"}


def blocks(page: Path) -> list[re.Match[str]]:
    return list(BLOCK.finditer(page.read_text(encoding="utf-8")))


def commands(text: str) -> Iterator[tuple[list[str], str]]:
    """Command lines of a console block, split as a shell does, each with the output that is shown."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        for command in line.split(" && "):
            yield shlex.split(command, comments=True), output


def console(page: Path) -> Iterator[tuple[list[str], str]]:
    for block in blocks(page):
        if block["language"] == "console":
            yield from commands(block["text"])


# Snippets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_is_the_source_of_something_that_is_tested(page: Path) -> None:
    for block in blocks(page):
        if block["language"] not in CODE:
            continue
        assert block["source"], f"no `<!-- from PATH -->` before: {block['text'][:60]!r}"
        source = (ROOT / block["source"]).read_text(encoding="utf-8")
        assert f"\n{block['text']}" in f"\n{source}", f"differs from {block['source']}: {block['text'][:60]!r}"


def test_the_tutorial_shows_the_whole_plugin_in_under_40_lines() -> None:
    shown = {block["source"]: block["text"] for block in blocks(ROOT / "docs" / "plugins.md")}
    for name in ("gen3d_palette.py", "pyproject.toml", "recipe.yaml", "test_palette.py"):
        text = (EXAMPLE / name).read_text(encoding="utf-8")
        assert shown[f"examples/gen3d-palette/{name}"] == text
    assert len((EXAMPLE / "gen3d_palette.py").read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings}, target


@pytest.mark.parametrize(("name", "most"), [("README.md", 120), ("CONTRIBUTING.md", 70)])
def test_short_pages_stay_short(name: str, most: int) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= most


# Commands


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(EXAMPLE, tmp_path_factory.mktemp("palette"))


@pytest.fixture
def palette(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example's plugin, as if it were installed in this environment."""
    monkeypatch.syspath_prepend(str(site))
    installed.cache_clear()
    yield
    installed.cache_clear()
    sys.modules.pop("gen3d_palette", None)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages' commands name."""
    shutil.copytree(EXAMPLE, tmp_path / "gen3d-palette")
    shutil.copy(ROOT / "examples" / "barrel.png", tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("palette", "workplace")
def test_the_tutorials_commands_print_what_it_shows() -> None:
    checker = doctest.OutputChecker()
    executed = []
    for (program, *arguments), expected in console(ROOT / "docs" / "plugins.md"):
        if program != "gen3d":
            assert program in {"pip", "pytest", "cd"}  # done by the tests of the skeleton
            continue
        dry = ["--dry-run"] if arguments[0] == "run" and "--dry-run" not in arguments else []
        result = CliRunner().invoke(cli, [*arguments, *dry], catch_exceptions=False)
        assert result.exit_code == 0
        shown = "\n".join(line.rstrip() for line in result.stdout.splitlines()) + "\n"
        if expected.strip():
            assert checker.check_output(expected.strip() + "\n", shown, doctest.ELLIPSIS), shown
        executed.append(arguments[0])
    assert executed == ["plugins", "describe", "run", "run", "new-plugin"]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "plugins.md"], ids=lambda page: page.name)
@pytest.mark.usefixtures("workplace")
def test_commands_exist_and_take_these_options(page: Path) -> None:
    for (program, *arguments), _ in console(page):
        if program != "gen3d":
            continue
        for path in (argument for argument in arguments if argument.startswith(("recipes/", "examples/"))):
            assert (ROOT / path).exists(), path
        if arguments[0] == "run":
            profile = arguments[arguments.index("--profile") + 1] if "--profile" in arguments else None
            overrides = [argument for argument in arguments[2:] if "=" in argument]
            Run(Recipe.load(arguments[1], overrides, profile)).check()
        parse(cli, "gen3d", arguments)


def parse(command: click.Command, name: str, arguments: list[str]) -> None:
    """Raise UsageError where there is no such command, option or argument; files need not exist."""
    try:
        context = command.make_context(name, list(arguments), resilient_parsing=False)
    except click.MissingParameter:
        raise
    except click.BadParameter:
        return
    if isinstance(command, click.Group) and (rest := [*context._protected_args, *context.args]):
        chosen, inner, left = command.resolve_command(context, rest)
        assert chosen is not None
        assert inner is not None
        parse(inner, chosen, left)


def test_commands_that_do_not_exist_are_noticed() -> None:
    for wrong in (["export"], ["run", "recipe.yaml", "--profil", "mini"], ["walk"], ["recipes", "mv", "a"]):
        with pytest.raises(click.UsageError):
            parse(cli, "gen3d", wrong)


def test_the_readme_lists_the_exit_codes() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.*?) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    kinds = [gen3d.Gen3dError, *gen3d.Gen3dError.__subclasses__()]
    assert {int(code) for code in rows} == {0, 130, *(kind.exit_code for kind in kinds)}


# What runs


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE_TESTS = re.findall(r"^def (test_\w+)", (EXAMPLE / "test_palette.py").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", EXAMPLE_TESTS)
@pytest.mark.usefixtures("palette")
def test_the_example_passes_its_own_tests(name: str, tmp_path: Path) -> None:
    test = getattr(loaded(EXAMPLE / "test_palette.py"), name)
    test(**{"tmp_path": tmp_path} if "tmp_path" in inspect.signature(test).parameters else {})


def test_every_kind_of_the_examples_makes_a_run_together(tmp_path: Path) -> None:
    plugins = Plugins()
    plugins.load("distill", "", lambda: importlib.import_module("gen3d_distill"))
    plugins.load("every_kind", "file", lambda: loaded(ROOT / "examples" / "every_kind.py"))
    provided = plugins.statuses[-1].provides
    assert {name.partition(":")[0] for name in provided} == set(KINDS)
    run = Run(Recipe.load(ROOT / "examples" / "every_kind.yaml", [f"output={tmp_path / 'run'}", "device=cpu"]), plugins)
    ball = run.stages[0].representation
    run.start()
    red, green, blue = ball.color.sigmoid().tolist()
    assert red > 0.6 > green > blue  # on its way from mid-grey to [0.9, 0.5, 0.2]
    notes = re.findall(r'"text": "(.*?)"', (tmp_path / "run" / "events.jsonl").read_text(encoding="utf-8"))
    assert (notes[0], len(notes), notes[-1]) == ("every_kind starts on cpu", 12, "done")
    assert run.warnings == []
    assert [path.name for path in run.outputs] == ["asset.xyz"]
    assert len(run.outputs[0].read_text(encoding="utf-8").splitlines()) > 20


# Interfaces


def section(title: str) -> str:
    level = title.partition(" ")[0]
    found = re.search(rf"^{re.escape(title)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", PLUGINS, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found[1]


def described(function: object) -> str:
    """A method as the page writes it: `name(first, second=None, *rest)`."""
    shown = []
    for parameter in list(inspect.signature(function).parameters.values()):
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        shown += [f"{star}{parameter.name}{default}"] if parameter.name != "self" else []
    return f"`{function.__name__}({', '.join(shown)})`"


def methods(base: type) -> list[object]:
    return [value for name, value in vars(base).items() if inspect.isfunction(value) and not name.startswith("_")]


HOOKS = [value for value in vars(hookspecs).values() if hasattr(value, "gen3d_spec")]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_every_hook_is_documented_with_its_arguments(hook: object) -> None:
    text = section(f"### {described(hook)}")
    assert text.lstrip().startswith("Fires ")
    for name in inspect.signature(hook).parameters:
        assert f"`{name}" in text, f"{name} is not explained"


def test_no_hook_is_documented_that_does_not_exist() -> None:
    assert len(re.findall(r"^### `\w+\(.*\)`$", section("## Hooks"), re.MULTILINE)) == len(HOOKS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_documented_with_a_skeleton_and_its_methods(kind: str) -> None:
    text = section(f"### {kind}")
    base = BASES[kind]
    assert "<!-- from examples/every_kind.py -->" in text
    assert f"(gen3d.{base.__name__}):" in text
    for method in methods(base):
        assert described(method) in text, f"{described(method)} is not documented"


def test_every_part_is_documented() -> None:
    text = section("## Every part")
    for method in methods(Part):
        name = described(method)
        assert name in text, f"{name} is not documented"


@pytest.mark.parametrize("name", gen3d.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", PLUGINS)


@pytest.mark.parametrize("name", ["Step", "Stage", "Views", "Samples", "Signal", "Residual", "Cameras"])
def test_every_field_that_a_plugin_reads_is_documented(name: str) -> None:
    record = getattr(gen3d, name)
    assert is_dataclass(record)
    text = section("## Every part")
    for field in fields(record):
        if not field.name.startswith("_") and field.name != "shared":
            assert f"`{field.name}`" in text or f"`stage.{field.name}`" in text, (
                f"{name}.{field.name} is not documented"
            )
