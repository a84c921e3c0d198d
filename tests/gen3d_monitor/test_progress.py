"""Where a stage stands, in lines and as a bar."""

import io
from typing import Any

import pytest
from rich.console import Console

from gen3d_monitor.progress import Bar, Lines, duration, speed_text

TERMS = {"novel_views": 123.456, "input_view": 0.00123456}


def step(index: int, steps: int, terms: dict[str, float]) -> dict[str, Any]:
    """An event of a step."""
    return {"event": "step", "stage": "shape", "step": index, "steps": steps, "terms": terms}


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lines_name_the_terms_the_speed_and_the_time_left() -> None:
    out, clock = io.StringIO(), Clock()
    lines = Lines(Console(file=out, width=40), clock)
    for index in range(200):
        lines.step(step(index, 200, TERMS))
        clock.now += 0.5
    lines.stop()
    shown = out.getvalue().splitlines()
    assert len(shown) == 20
    assert shown[0] == "shape  10/200  2.0 steps/s  1:35 left  novel_views 123  input_view 0.00123"
    assert shown[-1].startswith("shape  200/200  2.0 steps/s  0:00 left")


def test_lines_of_a_short_stage_and_of_the_next_one() -> None:
    out = io.StringIO()
    lines = Lines(Console(file=out, width=40), Clock())
    for stage in ("shape", "color"):
        for index in range(3):
            lines.step({**step(index, 3, {"[bold]": float("nan")}), "stage": stage})
    assert out.getvalue().splitlines() == [f"{s}  {i}/3  [bold] nan" for s in ("shape", "color") for i in (1, 2, 3)]


def test_a_stage_that_is_resumed_counts_only_its_own_steps() -> None:
    out, clock = io.StringIO(), Clock()
    lines = Lines(Console(file=out), clock)
    for index in range(90, 100):
        lines.step(step(index, 100, {}))
        clock.now += 2
    assert out.getvalue().splitlines()[-1] == "shape  100/100  2.0 s/step  0:00 left  "


def test_a_terminal_gets_a_bar_with_terms() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    bar = Bar(console)
    for index in range(3):
        bar.step(step(index, 3, TERMS))
    bar.stop()
    text = out.getvalue()
    for part in ("shape", "3/3", "steps/s", "left", "novel_views 123  input_view 0.00123"):
        assert part in text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75.4, "1:15"), (3600 + 125, "1:02:05")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("speed", "text"), [(12.34, "12.3 steps/s"), (0.4, "2.5 s/step")])
def test_speed(speed: float, text: str) -> None:
    assert speed_text(speed) == text
