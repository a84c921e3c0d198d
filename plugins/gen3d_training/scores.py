"""Figures of many objects in several columns: their means and medians, and how they are shown."""

import statistics
from typing import Any

Figures = dict[str, Any]
"""`iou` and `chamfer` of one object in one column; `error` where nothing was made."""

COLUMNS = ("recipe", "prior off", "extruded", "sphere")


def summary(objects: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and median of each figure, by column, over the objects' `columns`."""
    every = [one["columns"] for one in objects.values()]
    present = [column for column in COLUMNS if all(column in columns for columns in every)]
    return {
        column: {key: _averages([c[column][key] for c in every]) for key in ("iou", "chamfer")} for column in present
    }


def table(result: dict[str, Any]) -> list[list[str]]:
    """Rows of text, the header first: each object, the mean and the median; IoU and Chamfer distance of each column."""
    columns = list(result["summary"])
    header = ["object", *(f"{column} {figure}" for column in columns for figure in ("IoU", "CD"))]
    rows = [[name, *_cells(one["columns"], columns)] for name, one in sorted(result["objects"].items())]
    for kind in ("mean", "median"):
        figures = {c: {key: value[kind] for key, value in result["summary"][c].items()} for c in columns}
        rows.append([kind, *_cells(figures, columns)])
    return [header, *rows]


def failures(result: dict[str, Any]) -> list[str]:
    """Each run without a mesh: object, column, reason."""
    return [
        f"{name}, {column}: {figures['error']}"
        for name, one in sorted(result["objects"].items())
        for column, figures in one["columns"].items()
        if "error" in figures
    ]


def markdown(result: dict[str, Any]) -> str:
    """The table, the failures and the protocol as a page."""
    header, *rows = table(result)
    lines = ["# Image to mesh", "", _row(header), _row(["---", *("---:" for _ in header[1:])]), *map(_row, rows), ""]
    failed = failures(result)
    if failed:
        lines += [f"{len(failed)} runs made no mesh, marked `!`:", "", *(f"- {line}" for line in failed), ""]
    lines += ["Protocol:", "", *(f"- {key}: {value}" for key, value in result["protocol"].items()), ""]
    return "\n".join(lines)


def _averages(values: list[float]) -> dict[str, float]:
    return {"mean": statistics.fmean(values), "median": statistics.median(values)}


def _cells(figures: dict[str, Figures], columns: list[str]) -> list[str]:
    texts = []
    for column in columns:
        texts += [f"{figures[column]['iou']:.3f}" + ("!" if "error" in figures[column] else "")]
        texts += [f"{figures[column]['chamfer']:.4f}"]
    return texts


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
