"""Numbers that change over a stage: `0.5`, `{0: 1, 50%: 20}` (holds), `{ramp: {0: 1, 300: 0}}` (linear)."""

import re
import sys
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

_STEP = re.compile(r"\d{1,12}")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)%")


@dataclass(frozen=True)
class Schedule:
    """A piecewise function of the step.

    Args:
        knots: (position, value) pairs in any order; a position is a step, or a share of the stage as "50%".
        linear: whether values between knots are interpolated, or the last knot's holds.
    """

    knots: tuple[tuple[int | str, float], ...]
    linear: bool = False

    @classmethod
    def of(cls, value: "Schedule | float | Mapping[Any, Any]") -> "Schedule":
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
        knots = sorted(((_steps(position, total), value) for position, value in self.knots), key=itemgetter(0))
        at, values = [position for position, _ in knots], [value for _, value in knots]
        after = bisect_right(at, step)
        if after == 0 or after == len(at) or not self.linear:
            return values[max(after - 1, 0)]
        share = (step - at[after - 1]) / (at[after] - at[after - 1])
        return values[after - 1] + share * (values[after] - values[after - 1])


def _position(key: Any) -> int | str:
    if not isinstance(key, bool) and _STEP.fullmatch(str(key)):
        return int(key)
    if _SHARE.fullmatch(str(key)):
        return str(key)
    msg = f"{key!r} is no step: write an integer or a share of the stage such as 50%"
    raise ValueError(msg)


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return float(value)
    msg = f"{value!r} is no number and no schedule such as {{0: 1, 50%: 20}} or {{ramp: {{0: 1, 300: 0}}}}"
    raise ValueError(msg)


def _steps(position: int | str, total: int) -> float:
    share = _SHARE.fullmatch(str(position))
    return float(share[1]) / 100 * total if share else float(position)
