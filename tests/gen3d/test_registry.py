"""Names of components, and what is said about one that is not there."""

import sys
from pathlib import Path

import pytest

from gen3d.errors import BadInput, Gen3dError, Unavailable
from gen3d.registry import Component, Registrar, Registry, did_you_mean


@pytest.fixture
def registry() -> Registry:
    """Two priors."""
    registry = Registry()
    for name in ("zero123", "stable_diffusion"):
        Registrar(registry, "priors").prior(name, f"gen3d_{name}:Prior")
    return registry


def test_registering_imports_nothing(registry: Registry) -> None:
    assert registry.component("prior", "zero123").target == "gen3d_zero123:Prior"
    assert registry.names("prior") == ["stable_diffusion", "zero123"]
    assert registry.names("guidance") == []


def test_a_registrar_has_a_method_for_every_kind() -> None:
    from gen3d.registry import KINDS

    registry = Registry()
    for kind in KINDS:
        getattr(Registrar(registry, "all"), kind)("it", int)
    assert set(registry.components) == {(kind, "it") for kind in KINDS}


def test_a_name_is_taken_once_within_its_kind(registry: Registry) -> None:
    Registrar(registry, "other").guidance("zero123", int)
    with pytest.raises(Gen3dError, match="prior 'zero123' is already registered by plugin 'priors'"):
        Registrar(registry, "other").prior("zero123", int)
    assert registry.component("prior", "zero123").plugin == "priors"


def test_an_unknown_name_gets_suggestions(registry: Registry) -> None:
    with pytest.raises(BadInput, match=r"r.yaml:3: unknown prior 'zero132'\n  did you mean 'zero123'\?") as caught:
        registry.component("prior", "zero132", "r.yaml:3")
    assert caught.value.exit_code == 2
    with pytest.raises(BadInput, match=r"did you mean 'prior'\?"):
        registry.component("priors", "zero123")


def test_an_unknown_name_may_be_a_broken_plugins(registry: Registry) -> None:
    registry.failed["vsd"] = "ImportError: no peft"
    with pytest.raises(
        Unavailable, match=r"unknown objective 'vsd'(.|\n)*plugin 'vsd' failed to load: ImportError: no peft"
    ):
        registry.component("objective", "vsd")
    with pytest.raises(BadInput, match=r"did you mean 'zero123'(.|\n)*plugin 'vsd' failed to load"):
        registry.component("prior", "zero132")


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [
        ("import a_module_that_is_not_there", "late:Late", "ModuleNotFoundError: No module named 'a_module_that"),
        ("x = 1", "late:Late", "AttributeError: .*'Late'"),
        ("1 +", "late:Late", "SyntaxError"),
        ("import sys; sys.exit('bye')", "late:Late", "SystemExit: bye"),
        ("", "not_there_at_all:Late", "ModuleNotFoundError"),
    ],
)
def test_a_component_that_cannot_be_imported_names_plugin_and_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, target: str, error: str
) -> None:
    (tmp_path / "late.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "late", raising=False)
    with pytest.raises(Unavailable, match=rf"plugin shop: prior 'late' cannot be imported: {error}") as caught:
        Component("prior", "late", "shop", target).load()
    assert caught.value.exit_code == 3
    monkeypatch.delitem(sys.modules, "late", raising=False)


def test_did_you_mean() -> None:
    assert did_you_mean("wieght", ["weight", "size"]) == "did you mean 'weight'? known are: size, weight"
    assert did_you_mean("xyz", ["weight", "size"]) == "known are: size, weight"
    assert did_you_mean("xyz", []) == "none are known"
