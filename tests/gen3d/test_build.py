"""Recipe values become constructor arguments: what fits, what does not, and what is said about it."""

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d import Guidance, Objective, Optimizer, Part, Prior, Schedule, Signal, Step, Views
from gen3d.build import build, build_component, convert, parameters, type_name
from gen3d.config import Config
from gen3d.describe import describe
from gen3d.errors import BadInput, OutOfMemory, Unavailable
from gen3d.registry import Registrar, Registry
from gen3d.testing import GaussianPrior


class Quiet(Guidance):
    """A guidance whose constructor is nn.Module's own."""

    def forward(self, step: Step, *views: Views) -> Signal:
        """Nothing."""
        return Signal(torch.zeros(()))


class Inner(Part):
    """A part of no kind: what it is is said by whoever asks for it.

    Args:
        share: how much.
    """

    def __init__(self, share: Schedule | float = 0.5, count: int = 2) -> None:
        super().__init__()
        self.got = (share, count)


class Keys(Quiet):
    """One key of each kind that recipes use."""

    def __init__(
        self,
        size: int,
        prior: Prior | None = None,
        rate: Schedule | float = 0.1,
        rates: dict[str, Schedule | float] | None = None,
        priors: dict[str, Prior] = {},
        corner: tuple[float, float] = (0.0, 1.0),
        names: list[str] = [],
        mode: Literal["near", "far"] = "near",
        color: Literal["white"] | tuple[float, float, float] = "white",
        flag: bool = False,
        path: Path | None = None,
        until: Schedule | float | None = None,
        inner: Inner | None = None,
    ) -> None:
        super().__init__()
        self.got = {name: value for name, value in locals().items() if name not in ("self", "__class__")}


class Loose(Quiet):
    """Keywords of any name, and one that no recipe can give."""

    def __init__(self, points: Float[Tensor, "points 3"] | None = None, untyped=3, **others: Any) -> None:
        super().__init__()


class Flat(GaussianPrior):
    """One Gaussian of numbers."""

    def __init__(self, mean: float, std: float = 1.0) -> None:
        super().__init__(mean, std)


class Stubborn(Quiet):
    """Fails as its key says."""

    def __init__(self, error: str) -> None:
        super().__init__()
        if error == "bad input":
            raise BadInput("no", remedy="yes")
        if error == "memory":
            torch.empty(10**15)
        raise {"value": ValueError, "index": IndexError, "bug": NotImplementedError}[error]("a reason")


class Puzzling(Quiet):
    """Names a type that is not there."""

    def __init__(self, size: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821
        super().__init__()


@pytest.fixture
def registry() -> Registry:
    """The classes above, a real prior, and one that is of another kind than it says."""
    registry = Registry()
    registrar = Registrar(registry, "test")
    for name, cls in (
        ("quiet", Quiet),
        ("keys", Keys),
        ("loose", Loose),
        ("stubborn", Stubborn),
        ("puzzling", Puzzling),
    ):
        registrar.guidance(name, cls)
    registrar.prior("gaussian", Flat)
    registrar.prior("impostor", Quiet)
    registrar.objective("abstract", Objective)
    return registry


def make(registry: Registry, spec: Any, kind: str = "guidance") -> Any:
    """A component from its recipe."""
    return build_component(kind, Config({"it": spec}, {(): "r.yaml", ("it",): "r.yaml:3"}), ("it",), registry)


def got(registry: Registry, **keys: Any) -> Any:
    """What the constructor of Keys received for the last of the keys."""
    return make(registry, {"type": "keys", "size": 1, **keys}).got[list(keys)[-1]]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("size", 3, 3),
        ("rate", 1, Schedule.of(1)),
        ("rate", {"0": 1, "50%": 2}, Schedule.of({"0": 1, "50%": 2})),
        ("rates", {"density": {"ramp": {"0": 1}}, "color": 2}, None),
        ("rates", None, None),
        ("corner", [1, 2.5], (1.0, 2.5)),
        ("names", ["a"], ["a"]),
        ("mode", "far", "far"),
        ("color", "white", "white"),
        ("color", [0, 0.5, 1], (0.0, 0.5, 1.0)),
        ("flag", True, True),
        ("path", "a/b", Path("a/b")),
        ("until", None, None),
        ("until", 3, Schedule.of(3)),
        ("prior", None, None),
    ],
)
def test_what_fits(registry: Registry, key: str, value: Any, expected: Any) -> None:
    if key == "rates" and value:
        expected = {name: Schedule.of(item) for name, item in value.items()}
    result = got(registry, **{key: value})
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        ("size", 1.5, "a whole number"),
        ("size", True, "a whole number"),
        ("size", "3", "a whole number"),
        ("size", None, "a whole number"),
        ("size", {"0": 1}, "a whole number"),
        ("rate", "fast", "schedule"),
        ("rate", True, "schedule"),
        ("rate", None, "schedule"),
        ("rate", {"soon": 1}, "a share of the stage"),
        ("rates", {"density": "fast"}, "schedule"),
        ("rates", [1], "a map, each a number or schedule or null"),
        ("corner", [1, 2, 3], r"\[a number, a number\]"),
        ("corner", [1, True], r"\[a number, a number\]"),
        ("corner", 1, r"\[a number, a number\]"),
        ("names", "a", "a list, each text"),
        ("names", [1], "a list, each text"),
        ("mode", "mid", "'near' or 'far'"),
        ("color", "red", r"'white' or \[a number, a number, a number\]"),
        ("flag", 1, "true or false"),
        ("flag", "yes", "true or false"),
        ("path", 3, "a path or null"),
        ("prior", 3, "a prior is a map with a `type`"),
        ("prior", {"weights": "x"}, "a prior is a map with a `type`"),
        ("priors", {"one": None}, "a prior is a map with a `type`"),
        ("inner", 0.5, "it is a map of share, count or null"),
        ("inner", {"share": "much"}, "no number and no schedule"),
    ],
)
def test_what_does_not_fit_says_what_would(registry: Registry, key: str, value: Any, right: str) -> None:
    with pytest.raises(BadInput, match=right) as caught:
        got(registry, **{key: value})
    assert caught.value.place.startswith(f"r.yaml:3: it.{key}")


def test_parts_nest(registry: Registry) -> None:
    spec = {"type": "gaussian", "mean": 0.5, "std": 2}
    prior = got(registry, prior=spec)
    assert isinstance(prior, Flat)
    assert prior.mixtures["conditional"].means == [0.5]
    named = got(registry, priors={"one": spec, "two": spec})
    assert {name: type(prior) for name, prior in named.items()} == {"one": Flat, "two": Flat}


def test_a_part_of_no_kind_has_no_type(registry: Registry) -> None:
    inner = got(registry, inner={"share": {"0": 0, "50%": 1}})
    assert isinstance(inner, Inner)
    assert inner.got == (Schedule.of({"0": 0, "50%": 1}), 2)
    assert got(registry, inner=None) is None
    with pytest.raises(BadInput, match=r"it\.inner\.shares: unknown key 'shares'\n.*did you mean 'share'\?"):
        got(registry, inner={"shares": 1})
    text = describe(registry.component("guidance", "keys"))
    assert (
        "  inner: a map of share, count or null, default null\n      share: a number or schedule, default 0.5" in text
    )
    assert "          how much." in text


def test_a_mistake_in_a_nested_part_has_its_path(registry: Registry) -> None:
    with pytest.raises(BadInput, match=r"it\.prior\.men: unknown key 'men'\n.*did you mean 'mean'\?"):
        got(registry, prior={"type": "gaussian", "men": 1, "std": 1})
    with pytest.raises(BadInput, match=r"it\.prior\.type: unknown prior 'gausian'\n.*did you mean 'gaussian'\?"):
        got(registry, prior={"type": "gausian"})


def test_a_name_alone_is_a_type(registry: Registry) -> None:
    assert isinstance(make(registry, "quiet"), Quiet)


def test_weight_is_for_the_loop(registry: Registry) -> None:
    assert isinstance(make(registry, {"type": "quiet", "weight": 3}), Quiet)
    with pytest.raises(BadInput, match=r"unknown key 'wieght'\n.*did you mean 'weight'\?"):
        make(registry, {"type": "quiet", "wieght": 3})
    with pytest.raises(BadInput, match="unknown key 'weight'"):
        make(registry, {"type": "gaussian", "mean": 0, "std": 1, "weight": 3}, kind="prior")


def test_missing_and_unknown_keys(registry: Registry) -> None:
    with pytest.raises(BadInput, match=r"r.yaml:3: it: 'size' is missing\n.*add size: a whole number"):
        make(registry, {"type": "keys"})
    with pytest.raises(BadInput, match=r"r.yaml:3: it.sizes: unknown key 'sizes'\n.*did you mean 'size'\?"):
        make(registry, {"type": "keys", "sizes": 1})


def test_open_keywords_and_missing_annotations(registry: Registry) -> None:
    assert parameters(Quiet) == {}
    assert list(parameters(Loose)) == ["points", "untyped"]
    make(registry, {"type": "loose", "untyped": {"any": ["thing"]}})
    with pytest.raises(BadInput, match="unknown key 'other'"):
        make(registry, {"type": "loose", "other": 1})
    with pytest.raises(BadInput, match=r"it\.points"):
        make(registry, {"type": "loose", "points": [[0, 0, 0]]})


@pytest.mark.parametrize("spec", [None, 3, [], {}, {"type": 3}, {"type": None}, {"size": 1}])
def test_what_names_no_component_is_told_the_names(registry: Registry, spec: Any) -> None:
    with pytest.raises(BadInput, match=r"r.yaml:3: it: a guidance is a map with a `type`\n.*names are keys, loose, p"):
        make(registry, spec)


def test_a_constructors_own_error_gets_the_place(registry: Registry) -> None:
    with pytest.raises(BadInput, match=r"^r.yaml:3: it: no\n  yes$"):
        make(registry, {"type": "stubborn", "error": "bad input"})


@pytest.mark.parametrize("kind", ["value", "index"])
def test_values_that_a_constructor_fails_on_are_bad_input(registry: Registry, kind: str) -> None:
    with pytest.raises(BadInput, match=r"r\.yaml:3: it: Stubborn cannot be made of these values: .*a reason"):
        make(registry, {"type": "stubborn", "error": kind})


def test_too_large_a_constructor_is_out_of_memory(registry: Registry) -> None:
    with pytest.raises(OutOfMemory, match="can't allocate memory: you tried to allocate"):
        make(registry, {"type": "stubborn", "error": "memory"})


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("prior", "impostor", "plugin test: prior 'impostor' is a Quiet, which does not derive from Prior"),
        ("guidance", "puzzling", "Puzzling: .*'Nowhere' is not defined"),
    ],
)
def test_a_plugins_own_mistakes_name_the_plugin(registry: Registry, kind: str, name: str, message: str) -> None:
    with pytest.raises(Unavailable, match=message):
        make(registry, {"type": name, "size": 1}, kind)


def test_an_abstract_class_is_no_component(registry: Registry) -> None:
    with pytest.raises(BadInput, match="abstract"):
        make(registry, "abstract", kind="objective")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Schedule | float, "a number or schedule"),
        (Objective, "an objective"),
        (Prior | None, "a prior or null"),
        (Inner | None, "a map of share, count or null"),
        (Optimizer, "an optimizer"),
        (dict[str, float], "a map, each a number"),
        (tuple[int, ...], "a list, each a whole number"),
        (Any, "anything"),
    ],
)
def test_types_in_words(annotation: Any, words: str) -> None:
    assert type_name(annotation) == words


def test_convert_leaves_the_recipe_as_it_is(registry: Registry) -> None:
    value = {"density": {"0": 1}}
    convert(dict[str, Schedule | float], value, Config(), (), registry)
    assert value == {"density": {"0": 1}}


def test_build_takes_any_class(registry: Registry) -> None:
    class Plain:
        def __init__(self, a: int = 1) -> None:
            self.a = a

    assert build(Plain, {"a": 2}, Config(), (), registry).a == 2
