"""Figures of many objects in several columns: their means and medians, and how they are shown."""

import statistics
from collections.abc import Callable
from typing import Any

Figures = dict[str, Any]
"""`iou` and `chamfer` of one object in one column; `error` where nothing was made."""

COLUMNS = ("recipe", "prior off", "extruded", "sphere")
FIGURES = {"iou": "IoU, higher is better", "chamfer": "Chamfer distance, lower is better"}
_AVERAGES: dict[str, Callable[[list[float]], float]] = {"mean": statistics.fmean, "median": statistics.median}


def summary(objects: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and median of each figure, by column, over the objects' `columns`."""
    every = [one["columns"] for one in objects.values()]
    present = [column for column in COLUMNS if all(column in columns for columns in every)]
    return {column: {key: _averages([c[column][key] for c in every]) for key in FIGURES} for column in present}


def table(result: dict[str, Any], figure: str) -> list[list[str]]:
    """Rows of text for one figure, the header first: each object, the mean and the median, by column."""
    columns = list(result["summary"])
    objects = sorted(result["objects"].items())
    rows = [[name, *(_text(one["columns"][column], figure) for column in columns)] for name, one in objects]
    averages = [[result["summary"][column][figure][kind] for column in columns] for kind in _AVERAGES]
    last = [[kind, *(f"{value:.4f}" for value in values)] for kind, values in zip(_AVERAGES, averages, strict=True)]
    return [[FIGURES[figure], *columns], *rows, *last]


def failures(result: dict[str, Any]) -> list[str]:
    """Each run without a mesh: object, column, reason."""
    return [
        f"{name}, {column}: {figures['error']}"
        for name, one in sorted(result["objects"].items())
        for column, figures in one["columns"].items()
        if "error" in figures
    ]


def markdown(result: dict[str, Any]) -> str:
    """The tables, the failures and the protocol as a page."""
    lines = ["# Image to mesh", ""]
    for figure in FIGURES:
        header, *rows = table(result, figure)
        lines += [row(header), row(["---", *("---:" for _ in header[1:])]), *map(row, rows), ""]
    failed = failures(result)
    if failed:
        lines += [f"Without a mesh, marked `!`: {len(failed)}", "", *(f"- {line}" for line in failed), ""]
    lines += ["Protocol:", "", *(f"- {key}: {value}" for key, value in result["protocol"].items()), ""]
    return "\n".join(lines)


def row(cells: list[str]) -> str:
    """A row of a markdown table."""
    return f"| {' | '.join(cells)} |"


def _averages(values: list[float]) -> dict[str, float]:
    return {name: average(values) for name, average in _AVERAGES.items()}


def _text(figures: Figures, figure: str) -> str:
    return f"{figures[figure]:.4f}" + ("!" if "error" in figures else "")
