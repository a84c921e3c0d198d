"""Curves: axes, ticks, thinning, and what the SVG says."""

import re

import pytest

from gen3d_report.chart import POINTS, Axis, chart, number, thinned


def test_an_axis_is_logarithmic_where_values_differ_much_and_none_is_negative():
    assert Axis.of([1, 10, 51]).log
    assert not Axis.of([1, 10, 49]).log
    assert not Axis.of([-1, 10, 1000]).log
    assert Axis.of([0, 1, 1000]) == Axis(1, 1000, log=True)


def test_an_axis_holds_all_values_even_where_they_are_one_or_none():
    assert Axis.of([3.0]).low < 3 < Axis.of([3.0]).high
    assert Axis.of([0.0]).low < 0.5 < Axis.of([0.0]).high
    assert Axis.of([]).ticks()
    assert Axis.of([float("nan"), 2, 4, float("inf")]).share(4) <= 1


def test_shares_are_linear_or_in_powers():
    assert Axis(10, 20).share(15) == 0.5
    assert Axis(1, 100, log=True).share(10) == pytest.approx(0.5)
    assert Axis(1, 100, log=True).share(0) is None


def test_ticks_are_round_and_within():
    assert Axis(0, 100).ticks() == [0, 20, 40, 60, 80, 100]
    assert Axis(-0.13, 0.31).ticks() == pytest.approx([-0.1, 0, 0.1, 0.2, 0.3])
    assert Axis(0.02, 5000, log=True).ticks() == pytest.approx([0.1, 1, 10, 100, 1000])
    assert len(Axis(1e-12, 1e12, log=True).ticks()) <= 7


def test_long_curves_become_medians_of_neighbours():
    assert thinned({step: float(step) for step in range(POINTS)}) == [(step, step) for step in range(POINTS)]
    points = thinned({step: 1e9 if step % 7 == 3 else 2.0 for step in range(7 * POINTS)})
    assert len(points) == POINTS
    assert points[0] == (3, 2.0)
    assert {value for _, value in points} == {2.0}
    assert thinned({0: None, 1: float("nan"), 2: 5.0}) == [(2, 5.0)]
    assert thinned({}) == []


def test_lines_are_where_their_values_say():
    svg = str(chart({"paint": {0: 0.0, 5: 5.0, 10: 10.0}, "flat": {0: 5.0, 10: 5.0}}, 10))
    lines = re.findall(r'class="c(\d)" points="([^"]*)"><title>(\w+)', svg)
    assert [(number, name) for number, _, name in lines] == [("0", "paint"), ("1", "flat")]
    first, middle, last = (tuple(map(float, place.split(","))) for place in lines[0][1].split())
    assert middle == pytest.approx(((first[0] + last[0]) / 2, (first[1] + last[1]) / 2), abs=0.1)
    assert first[1] > last[1]  # upwards
    assert lines[1][1].split()[0].split(",")[1] == lines[1][1].split()[1].split(",")[1]


def test_names_stay_text():
    assert "<script" not in chart({"<script>": {0: 1.0}}, 1)
    assert "&lt;script&gt;" in chart({"<script>": {0: 1.0}}, 1)


@pytest.mark.parametrize("curves", [{}, {"a": {}}, {"a": {0: None}}, {"a": {0: 0.0}}, {"a": {0: 1e300, 1: 1e-300}}])
def test_curves_with_little_in_them_are_drawn(curves):
    assert "nan" not in chart(curves, 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.5"), (123.456, "123.5"), (12345, "12,345"), (1e-5, "1e-5"), (2.5e7, "2.5e7"), (-3.0, "-3")],
)
def test_numbers_are_short(value, text):
    assert number(value) == text
