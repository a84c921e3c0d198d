"""Curves of a stage's terms as an inline SVG."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup, escape

POINTS = 240
"""Of a curve, at most: more steps than that are drawn as medians of neighbours."""

COLORS = 8
_WIDTH, _HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 30
_SPREAD = 50.0  # largest to smallest value from which the axis is logarithmic
_TICKS = 5

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """Where values are on the picture, from `low` to `high`.

    Args:
        log: in powers of ten; values of 0 have no place then.
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def of(cls, values: Iterable[float]) -> "Axis":
        """An axis that shows all values: logarithmic where none is negative and they differ by a factor of 50."""
        known = [value for value in values if math.isfinite(value)]
        positive = [value for value in known if value > 0]
        if positive and min(known) >= 0 and max(positive) > _SPREAD * min(positive):
            return cls(min(positive), max(positive), log=True)
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        room = 0.05 * (high - low) or 0.5 * abs(high) or 1.0
        return cls(0.0 if low >= 0 and low < (high - low) else low - room, high + room)

    def share(self, value: float) -> float | None:
        """From 0 at `low` to 1 at `high`; None for what a logarithm does not know."""
        if not self.log:
            return (value - self.low) / (self.high - self.low)
        low, high = math.log(self.low), math.log(self.high)
        return (math.log(value) - low) / (high - low) if value > 0 else None

    def ticks(self) -> list[float]:
        """Round values within, about five."""
        if not self.log:
            return _round_values(self.low, self.high)
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        decades = range(first, last + 1, max(math.ceil((last - first + 1) / (_TICKS + 1)), 1))
        return [10.0**power for power in decades] or [self.low, self.high]


def thinned(curve: Mapping[int, float | None]) -> Points:
    """The curve by step, or medians over neighbouring steps where it has many; without what was not finite."""
    known = sorted((step, value) for step, value in curve.items() if value is not None and math.isfinite(value))
    size = math.ceil(len(known) / POINTS)
    groups = [known[start : start + size] for start in range(0, len(known), size or 1)]
    return [(median(step for step, _ in group), median(value for _, value in group)) for group in groups]


def chart(curves: Mapping[str, Mapping[int, float | None]], steps: int) -> Markup:
    """The curves over 0 to `steps`; line i has the class `c{i % 8}`, which the page gives a colour.

    Args:
        curves: values by step, by name.
        steps: taken so far.
    """
    lines = {name: thinned(curve) for name, curve in curves.items()}
    vertical = Axis.of(value for points in lines.values() for _, value in points)
    across = Axis(0, max(steps, 1))
    parts = [_grid(vertical, across)]
    for index, (name, points) in enumerate(lines.items()):
        places = [(_x(across, step), _y(vertical, value)) for step, value in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places if y is not None)
        line = Markup('<polyline class="c{}" points="{}"><title>{}</title></polyline>')
        parts.append(line.format(index % COLORS, path, name))
    label = escape(f"{', '.join(lines)} over {steps} steps{', logarithmic' if vertical.log else ''}")
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    return head.format(_WIDTH, _HEIGHT, label) + Markup("").join(parts) + Markup("</svg>")


def number(value: float) -> str:
    """A value in at most four significant digits, as people write it."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:  # noqa: PLR2004 (where digits are shorter than powers)
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"  # noqa: PLR2004
    mantissa, _, power = f"{value:.3g}".partition("e")
    return f"{mantissa}e{int(power)}" if power else mantissa


def _grid(vertical: Axis, across: Axis) -> Markup:
    row = Markup('<line x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/><text x="{3}" y="{4:.1f}" class="y">{5}</text>')
    column = Markup('<text x="{:.1f}" y="{}" class="x">{}</text>')
    places = [(tick, _y(vertical, tick)) for tick in vertical.ticks()]
    rows = [
        row.format(_LEFT, _WIDTH - _RIGHT, y, _LEFT - 8, y + 4, number(tick)) for tick, y in places if y is not None
    ]
    steps = [tick for tick in across.ticks() if tick == int(tick)]
    return Markup("").join(rows + [column.format(_x(across, tick), _HEIGHT - 8, f"{tick:,.0f}") for tick in steps])


def _x(axis: Axis, step: float) -> float:
    return _LEFT + (axis.share(step) or 0.0) * (_WIDTH - _LEFT - _RIGHT)


def _y(axis: Axis, value: float) -> float | None:
    share = axis.share(value)
    return None if share is None else _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _round_values(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, about five of them."""
    raw = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]
