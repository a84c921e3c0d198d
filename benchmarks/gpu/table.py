"""Rows as a table for people, and for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.gpu.measure import PIECES, Row

HEAD = (
    *("step", "steps/s", "published", "times", "noise", "GiB", "published GiB"),
    *PIECES,
    *("else", "of matrix rate", "of bandwidth"),
)


def cells(row: Row) -> list[str]:
    """A row's texts, in the order of HEAD."""
    if row.problem:
        return [row.name, row.problem, *[""] * (len(HEAD) - 2)]
    shares = [_percent(row.shares.get(name)) for name in (*PIECES, "else")]
    numbers = [_number(row.steps), _number(row.published), _number(row.ratio), _percent(row.noise)]
    return [
        row.name,
        *numbers,
        _number(row.memory),
        _number(row.published_memory),
        *shares,
        _percent(row.of_matrix_rate),
        _percent(row.of_bandwidth),
    ]


def markdown(rows: Sequence[Row], machine: Mapping[str, str]) -> str:
    """The table with the machine before it."""
    lines = [", ".join(f"{key} {value}" for key, value in machine.items()), ""]
    lines += [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    return "\n".join([*lines, *(f"| {' | '.join(cells(row))} |" for row in rows)]) + "\n"


def plain(rows: Sequence[Row]) -> str:
    """The table in columns."""
    table = [list(HEAD), *(cells(row) for row in rows if not row.problem)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in table]
    return "\n".join([*lines, *(f"{row.name}: {row.problem}" for row in rows if row.problem)])


def write(folder: Path, rows: Sequence[Row], machine: Mapping[str, str]) -> None:
    """gpu.md and gpu.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.md").write_text(markdown(rows, machine), encoding="utf-8")
    content = {"machine": dict(machine), "rows": [asdict(row) | {"times": row.ratio} for row in rows]}
    (folder / "gpu.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"
