"""Numbers that change over a stage."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen3d.schedule import Schedule


def values(spec: Any, steps: tuple[int, ...], total: int = 100) -> list[float]:
    """The schedule at some steps."""
    schedule = Schedule.of(spec)
    return [schedule(step, total) for step in steps]


def test_number_is_constant() -> None:
    assert values(3, (0, 50, 99)) == [3, 3, 3]


def test_holds_from_each_knot() -> None:
    assert values({"10": 1, "50%": 2}, (0, 10, 49, 50, 99)) == [1, 1, 1, 2, 2]


def test_ramp_is_linear_between_knots_and_flat_outside() -> None:
    assert values({"ramp": {"10": 0, "50%": 4}}, (0, 10, 20, 30, 50, 99)) == pytest.approx([0, 0, 1, 2, 4, 4])


def test_a_share_is_of_the_stage() -> None:
    assert values({"0": 0, "2.5%": 1}, (24, 25), total=1000) == [0, 1]


def test_the_order_of_knots_does_not_matter() -> None:
    assert values({"50%": 2, "10": 1}, (10, 60)) == [1, 2]
    assert values({"ramp": {"50": 2, "0": 0}}, (25,)) == [1]


def test_two_knots_on_one_step_do_not_divide_by_zero() -> None:
    assert values({"ramp": {"0": 0, "50": 1, "50%": 3, "100": 3}}, (25, 49, 50, 75)) == pytest.approx([0.5, 0.98, 3, 3])


@given(st.dictionaries(st.integers(0, 200), st.floats(-5, 5), min_size=1), st.integers(0, 99), st.booleans())
def test_stays_between_its_values(table: dict[int, float], step: int, linear: bool) -> None:
    spec: Any = {"ramp": table} if linear else table
    assert min(table.values()) - 1e-9 <= Schedule.of(spec)(step, 100) <= max(table.values()) + 1e-9
    on_knot = next(iter(table))
    assert Schedule.of(spec)(on_knot, 100) == table[on_knot]


@pytest.mark.parametrize(
    "spec",
    [
        *({}, {"ramp": {}}, {"ramp": 3}, {"ramp": {"0": 1}, "10": 2}, {"-1": 2}, {"half": 1}, {"50 %": 1}, {"²": 1}),
        *({"0": "x"}, {"0": True}, {"0": None}, {"0": float("nan")}, {"0": float("inf")}, {"9" * 30: 1}, {"0": [1]}),
        *("fast", True, None, [1], float("nan"), 10**400),
    ],
)
def test_everything_else_is_refused_with_a_reason(spec: Any) -> None:
    with pytest.raises(ValueError, match=r"schedule|step|number"):
        Schedule.of(spec)
