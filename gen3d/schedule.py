"""Numbers that change over a stage: `0.5`, `{0: 1, 50%: 20}` (holds), `{ramp: {0: 1, 300: 0}}` (linear)."""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")


@dataclass(frozen=True)
class Schedule:
    """A piecewise function of the step.

    Args:
        knots: (position, value) pairs in rising order; a position is a step, or a share of the stage as "50%".
        linear: whether values between knots are interpolated, or the last knot's holds.
    """

    knots: tuple[tuple[int | str, float], ...]
    linear: bool = False

    @classmethod
    def of(cls, value: "Schedule | float | Mapping[Any, Any]") -> Self:
        """Read what a recipe holds. Raises ValueError with the reason."""
        if isinstance(value, cls):
            return value
        if isinstance(value, Mapping):
            linear = set(value) == {"ramp"}
            table = value["ramp"] if linear else value
            if not isinstance(table, Mapping) or not table:
                msg = "a schedule is {step: value} or {ramp: {step: value}} with at least one step"
                raise ValueError(msg)
            return cls(tuple((_position(key), _number(table[key])) for key in table), linear)
        return cls(((0, _number(value)),))

    def __call__(self, step: int, total: int) -> float:
        """The value at `step` of a stage of `total` steps; before the first knot, the first knot's."""
        at = [_steps(position, total) for position, _ in self.knots]
        values = [value for _, value in self.knots]
        after = bisect_right(at, step)
        if after == 0 or after == len(at) or not self.linear:
            return values[max(after - 1, 0)]
        share = (step - at[after - 1]) / (at[after] - at[after - 1])
        return values[after - 1] + share * (values[after] - values[after - 1])


def _position(key: Any) -> int | str:
    if isinstance(key, str) and key.isdigit():
        key = int(key)
    if (isinstance(key, int) and not isinstance(key, bool) and key >= 0) or _SHARE.fullmatch(str(key)):
        return key
    msg = f"{key!r} is no step: write an integer or a share of the stage such as 50%"
    raise ValueError(msg)


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    msg = f"{value!r} is no number and no schedule such as {{0: 1, 50%: 20}} or {{ramp: {{0: 1, 300: 0}}}}"
    raise ValueError(msg)


def _steps(position: int | str, total: int) -> float:
    share = _SHARE.fullmatch(str(position))
    return float(share[1]) / 100 * total if share else float(position)
