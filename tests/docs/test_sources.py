"""Conventions that only the sources show: what is written where, and what is written nowhere."""

import ast
import functools
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

from gen3d.inputs import Inputs
from gen3d.testing import GaussianPrior

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for top in ("gen3d", "plugins") for path in (ROOT / top).rglob("*.py"))
NETWORKS = {"gen3d_zero123", "gen3d_stable_diffusion", "gen3d_training"}
"""Plugins that run or train networks."""


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


AXIS = re.compile(r"\*?[a-z][a-z_]{2,}|[xyz]|\d+|\.\.\.|_")  # _ is any size, for aliases that several arrays share


def axes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2:
            shape = node.slice.elts[1]
            if (
                isinstance(shape, ast.Constant)
                and isinstance(shape.value, str)
                and "Literal" not in ast.dump(node.value)
            ):
                yield from (axis for token in shape.value.split() for axis in re.split(r"(?<=\w)[+\-*/]", token))


def test_axes_have_names_that_say_something() -> None:
    found = {(axis, path.name) for path in SOURCES for axis in axes(parsed(path))}
    assert len(found) > 50
    assert {(axis, name) for axis, name in found if not AXIS.fullmatch(axis)} == set()


def test_no_package_checks_shapes_by_itself() -> None:
    users = [
        path.name
        for path in SOURCES
        if re.search(r"beartype|install_import_hook|jaxtyped", path.read_text(encoding="utf-8"))
    ]
    assert users == []


def test_priors_take_pictures_as_everybody_has_them() -> None:
    ways = [
        (method.name, ast.unparse(method.args.args[1].annotation if method.name == "encode" else method.returns))
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Prior") for base in node.bases)
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name in {"encode", "decode"}
    ]
    assert len(ways) >= 4
    assert all(re.fullmatch(r"Float\[Tensor, 'batch \w+ \w+ 3'\]", shape) for _, shape in ways), ways
    with pytest.raises(TypeCheckError):
        GaussianPrior(0.0, 1.0).encode(torch.zeros(1, 3, 8, 8))


def test_axes_change_in_one_place() -> None:
    shuffles = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if re.search(r"\[\.\.\., \[(1, 2, 0|2, 0, 1|0, 2, 1)\]\]|to_gltf\(", path.read_text(encoding="utf-8"))
    }
    assert "plugins/gen3d_export/frame.py" in shuffles
    assert all(name.startswith("plugins/gen3d_export/") for name in shuffles)


def test_recipe_keys_of_angles_end_in_deg() -> None:
    angle = re.compile(r"(azimuth|elevation|fov|polar|angle|roll|pitch|yaw)(_min|_max|_range)?")
    constructors = (
        (path.name, argument.arg)
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        for argument in (*node.args.args, *node.args.kwonlyargs)
    )
    assert [(path, name) for path, name in constructors if angle.fullmatch(name)] == []
    reference = Inputs(image="photo.png", elevation_deg=90, fov_deg=60).reference()
    assert reference is not None
    assert reference.fov.item() == pytest.approx(math.pi / 3)
    assert reference.elevation.item() == pytest.approx(math.pi / 2)


def test_relative_poses_stay_in_their_prior() -> None:
    users = {path.parent.name for path in SOURCES if "relative_pose" in path.read_text(encoding="utf-8")}
    assert users == {"gen3d_zero123"}


def test_classifier_free_guidance_is_written_once() -> None:
    formula = re.compile(r"\+ \w*(scale|cfg)\w*(\([^)]*\))? \* \((cond|pos|text)", re.IGNORECASE)
    writers = [
        path.relative_to(ROOT).as_posix() for path in SOURCES if formula.search(path.read_text(encoding="utf-8"))
    ]
    assert writers == ["gen3d/diffusion.py"]


GENERATED = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson"}
GENERATED |= {f"{name}_like" for name in ("rand", "randn", "randint")}
IN_PLACE = {"normal_", "uniform_", "random_", "bernoulli_", "exponential_", "log_normal_", "geometric_", "cauchy_"}
INITIALISERS = {f"{law}_{kind}_" for law in ("xavier", "kaiming") for kind in ("normal", "uniform")}
INITIALISERS |= {"trunc_normal_", "orthogonal_", "sparse_", *IN_PLACE}
SEEDED = {"np.random.default_rng", "numpy.random.default_rng", "random.Random"}


def is_global_draw(call: ast.Call) -> bool:
    """Whether a call uses a random state that it was not given."""
    name = ast.unparse(call.func)
    module, _, function = name.rpartition(".")
    given = any(keyword.arg == "generator" for keyword in call.keywords)
    if name in SEEDED:
        return not call.args
    if module in {"torch", ""} and function in GENERATED:
        return not given
    if module in {"random", "np.random", "numpy.random", "torch.random"}:
        return True
    if name in {"torch.manual_seed", "torch.seed", "torch.set_rng_state"} or name.startswith("torch.cuda.manual_seed"):
        return True
    return (function in IN_PLACE or function in INITIALISERS) and not given


def global_draws(tree: ast.AST) -> list[ast.Call]:
    """The calls that use a global random state, but for those on a fork of it that is thrown away."""
    forks = (node for node in ast.walk(tree) if isinstance(node, ast.With) and "fork_rng" in ast.unparse(node.items[0]))
    forked = {id(call) for fork in forks for call in calls(fork)}
    return [call for call in calls(tree) if is_global_draw(call) and id(call) not in forked]


DRAWS = """
torch.randn(3)
torch.rand_like(x)
torch.manual_seed(0)
x.normal_()
nn.init.xavier_uniform_(weight)
np.random.rand(3)
np.random.default_rng()
random.shuffle(x)
random.Random()
randint(0, 3, (2,))
"""
STREAMS = """
torch.randn(3, generator=g)
step.randn("noise", 3)
np.random.default_rng(3)
random.Random(3)
x.normal_(generator=g)
torch.Generator().manual_seed(3)
rng.random()
with torch.random.fork_rng():
    torch.manual_seed(0)
"""


@pytest.mark.parametrize(("code", "found"), [(DRAWS, 10), (STREAMS, 0)], ids=["draws", "streams"])
def test_global_draws_are_told_from_streams(code: str, found: int) -> None:
    assert len(global_draws(ast.parse(code))) == found


def test_nothing_draws_from_a_global_random_state() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call.func)}"
        for path in SOURCES
        for call in global_draws(parsed(path))
    ]
    assert found == []


def test_low_precision_stays_with_the_networks() -> None:
    low = re.compile(r"\b(bfloat16|float16|half\(\)|autocast|set_default_dtype)\b")
    users = {path.relative_to(ROOT) for path in SOURCES if low.search(path.read_text(encoding="utf-8"))}
    assert {part for path in users for part in path.parts[:2]} <= {"plugins", *NETWORKS}
