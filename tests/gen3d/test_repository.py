"""Rules that hold for every file of the repository."""

import ast
import importlib.util
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

from gen3d.cameras import Cameras, direction

ROOT = Path(__file__).parents[2]
FILES = [path for folder in ("gen3d", "plugins") for path in sorted((ROOT / folder).rglob("*.py"))]
PLUGINS = {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}

DRAWS = {"rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli", "poisson"}
DRAWS_IN_PLACE = {
    *(
        "uniform_",
        "normal_",
        "random_",
        "bernoulli_",
        "exponential_",
        "geometric_",
        "cauchy_",
        "log_normal_",
        "multinomial",
    ),
    *("kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_", "trunc_normal_", "orthogonal_"),
}
WITHOUT_GENERATOR = {"rand_like", "randn_like", "randint_like", "manual_seed", "seed"}
SEEDED = {"default_rng", "Generator", "SeedSequence", "PCG64", "Random"}
"""Constructors of a random state of one's own, given a seed."""


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an attribute or name, with "?" for what is computed."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def global_randomness(tree: ast.AST) -> Iterator[str]:
    """Calls that draw from, or set, a random state that others share."""
    kept_apart = {id(node) for with_ in ast.walk(tree) if forks(with_) for node in ast.walk(with_)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or id(node) in kept_apart:
            continue
        name = dotted(node.func)
        module, _, function = name.rpartition(".")
        own = any(keyword.arg == "generator" for keyword in node.keywords)
        if module == "torch":
            guilty = function in WITHOUT_GENERATOR or (function in DRAWS and not own)
        elif module in {"np.random", "numpy.random", "random"}:
            guilty = not (function in SEEDED and node.args)
        else:
            guilty = function in DRAWS_IN_PLACE and not own
        if guilty:
            yield f"line {node.lineno}: {name}"


def forks(node: ast.AST) -> bool:
    """Whether this is `with torch.random.fork_rng(...)`, after which the global state is what it was."""
    calls = [item.context_expr for item in node.items] if isinstance(node, ast.With) else []
    return any(isinstance(call, ast.Call) and dotted(call.func) == "torch.random.fork_rng" for call in calls)


def imports(tree: ast.AST) -> set[str]:
    """Top-level names of the modules that a file imports, wherever in it."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names}


def parse(path: Path) -> ast.AST:
    """A file of the repository."""
    return ast.parse(path.read_text(encoding="utf-8"))


def test_every_plugin_folder_is_an_entry_point_and_installed() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]["gen3d"]
    assert set(declared.values()) == PLUGINS, "a folder of plugins/ needs its line in [project.entry-points.gen3d]"
    assert all(module == f"gen3d_{name}" for name, module in declared.items())
    installed = {entry.name: entry.value for entry in entry_points(group="gen3d") if entry.value in PLUGINS}
    assert installed == declared, "entry points are frozen when installed: re-run pip install -e ."


def test_nothing_draws_from_a_global_random_state() -> None:
    found = {path.relative_to(ROOT): list(global_randomness(parse(path))) for path in FILES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("code", "caught"),
    [
        ("torch.randn(3)", True),
        ("torch.randn(3, generator=g)", False),
        ("torch.randn_like(x)", True),
        ("torch.manual_seed(0)", True),
        ("torch.Generator().manual_seed(0)", False),
        ("np.random.rand(3)", True),
        ("np.random.default_rng()", True),
        ("np.random.default_rng(3)", False),
        ("rng.normal(3)", False),
        ("random.shuffle(x)", True),
        ("random.Random(3)", False),
        ("x.normal_()", True),
        ("torch.nn.init.normal_(x, generator=g)", False),
        ("torch.nn.init.normal_(x)", True),
        ("step.randn('noise', 3)", False),
        ("with torch.random.fork_rng(devices=[]):\n    torch.manual_seed(3)\n    torch.nn.Linear(2, 2)", False),
    ],
)
def test_the_lint_above_catches_what_it_should(code: str, caught: bool) -> None:
    assert bool(list(global_randomness(ast.parse(code)))) == caught


def test_no_plugin_imports_another_and_the_core_imports_none() -> None:
    for path in FILES:
        folder = path.relative_to(ROOT).parts
        own = folder[1] if folder[0] == "plugins" else ""
        others = {name for name in imports(parse(path)) if name.startswith("gen3d_")} - {own}
        assert not others, f"{path.relative_to(ROOT)} imports {', '.join(others)}"


def test_nothing_imports_what_breaks_or_binds_others() -> None:
    for path in FILES:
        forbidden = imports(parse(path)) & {"torchvision", "nvdiffrast", "bpy"}
        assert not forbidden, f"{path.relative_to(ROOT)} imports {', '.join(forbidden)}"


def test_wrong_shapes_are_caught_in_tests() -> None:
    with pytest.raises(TypeCheckError):
        Cameras(torch.eye(3)[None], torch.ones(1), 4, 4)
    with pytest.raises(TypeCheckError):
        Cameras(torch.eye(4)[None], torch.ones(2), 4, 4)  # one axis name, two sizes
    with pytest.raises(TypeCheckError):
        direction(torch.zeros(2), torch.zeros(3))
    with pytest.raises(TypeCheckError):
        Cameras(torch.eye(4, dtype=torch.int)[None], torch.ones(1), 4, 4)


@pytest.mark.parametrize("name", sorted(PLUGINS))
def test_every_plugin_is_under_that_check(name: str) -> None:
    modules = [path.stem for path in (ROOT / "plugins" / name).glob("*.py") if path.stem != "__init__"]
    for spec in (importlib.util.find_spec(f"{name}.{module}") for module in modules):
        assert spec is not None
        assert "jaxtyping" in type(spec.loader).__module__


@pytest.mark.parametrize("name", sorted(PLUGINS))
def test_every_plugin_says_what_it_is(name: str) -> None:
    text = importlib.import_module(name).__doc__
    assert text
    assert text != "Being written."
