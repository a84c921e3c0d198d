"""Two runs side by side: what was asked of them, and what came of it."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from gen3d.checkpoint import write_atomically
from gen3d.errors import BadInput, Unavailable
from gen3d_report import words
from gen3d_report.chart import number
from gen3d_report.inline import Inlined, policy
from gen3d_report.page import environment, source
from gen3d_report.record import Record

_OWN = ("output", "name")  # of each run, and no difference between what they were asked
_ABSENT = "—"
_CAPTION = 28


@dataclass(frozen=True)
class Comparison:
    """Two runs that have been read.

    Args:
        left: the first.
        right: the second.
    """

    left: Record
    right: Record

    @property
    def recipe(self) -> dict[str, tuple[Any, Any]]:
        """The keys of the resolved recipes that differ, such as "stages.shape.steps"; None where there is none."""
        first, second = (dict(_flat(record.resolved)) for record in (self.left, self.right))
        keys = dict.fromkeys([*first, *second])
        return {key: (first.get(key), second.get(key)) for key in keys if first.get(key) != second.get(key)}

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Figure, left and right, as people read them."""
        first, second = (_told(figures(record)) for record in (self.left, self.right))
        return [(key, first.get(key, _ABSENT), second.get(key, _ABSENT)) for key in dict.fromkeys([*first, *second])]

    def as_json(self) -> dict[str, Any]:
        """A plain object: `runs`, two of them, and `recipe`, where they differ."""
        runs = [{"run": str(record.path), **figures(record)} for record in (self.left, self.right)]
        return {"runs": runs, "recipe": {key: list(pair) for key, pair in self.recipe.items()}}

    def page(self) -> str:
        """A page with the contact sheets one below the other, and both tables."""
        inlined = Inlined()
        records = (self.left, self.right)
        return (
            environment()
            .get_template("compare.html")
            .render(
                policy=policy(),
                style=source("report.css"),
                names=[str(record.path) for record in records],
                sheets=[inlined.picture(record.path / "contact_sheet.png") for record in records],
                rows=self.rows,
                recipe={key: [_shown(value) for value in pair] for key, pair in self.recipe.items()},
                left_out=inlined.left_out,
            )
        )

    def sheet(self) -> Image.Image:
        """The contact sheets one below the other. Raises BadInput where a run has none."""
        pictures = [_sheet(record) for record in (self.left, self.right)]
        size = max(picture.width for picture in pictures), sum(picture.height + _CAPTION for picture in pictures)
        both = Image.new("RGB", size, (255, 255, 255))
        pen, font, y = ImageDraw.Draw(both), ImageFont.load_default(16), 0
        for record, picture in zip((self.left, self.right), pictures, strict=True):
            pen.text((8, y + 6), str(record.path), fill=(30, 30, 30), font=font)
            both.paste(picture, (0, y + _CAPTION))
            y += picture.height + _CAPTION
        return both


def compare(left: Path, right: Path, output: Path | None = None) -> Comparison:
    """Read two run directories, and write what they show to a file where one is named.

    Args:
        left: a run directory.
        right: another.
        output: an HTML page, or a PNG of the contact sheets.

    Raises:
        BadInput: one is no run directory; the file is of another kind, or is to show a picture that is not there.
        Unavailable: the file cannot be written.
    """
    found = Comparison(Record.read(left), Record.read(right))
    if output is None:
        return found
    if output.suffix.lower() == ".html":
        data = found.page().encode("utf-8", errors="replace")
    elif output.suffix.lower() == ".png":
        stream = io.BytesIO()
        found.sheet().save(stream, "PNG")
        data = stream.getvalue()
    else:
        raise BadInput("is neither .html nor .png", place=str(output), remedy="name it so: --output both.html")
    try:
        write_atomically(output, data)
    except OSError as error:
        raise Unavailable(f"cannot be written: {error.strerror}", place=str(output)) from error
    return found


def figures(record: Record) -> dict[str, Any]:
    """What came of a run, as numbers; keys of what it has not are left out."""
    about, asset, steps = record.about, record.asset, sum(record.steps.values())
    working = sum(stage.get("seconds", 0) for stage in about["stages"].values())
    known = {
        "status": about["status"],
        "started": about["started"],
        "steps": steps,
        "skipped": about["skipped"],
        "seconds": about.get("seconds"),
        "steps_per_second": round(steps / working, 3) if working and about["status"] == "done" else None,
        "memory": about["memory"] or None,
        "terms": record.last_terms or None,
        **{key: asset.get(key) for key in ("triangles", "vertices", "watertight", "size", "texture")},
        "file_bytes": record.glb.stat().st_size if record.glb else None,
        "janus": about["janus"].get("score"),
        "warnings": len(about["warnings"]),
    }
    return {key: value for key, value in known.items() if value is not None}


def _told(values: dict[str, Any]) -> dict[str, str]:
    """The same in words, a row for each term."""
    words_for = {"seconds": words.duration, "memory": words.memory, "size": words.size, "file_bytes": words.megabytes}
    told: dict[str, str] = {}
    for key, value in values.items():
        if key == "terms":
            told |= {f"term {name}": number(mean) for name, mean in value.items()}
        else:
            name = {"seconds": "took", "file_bytes": "file", "steps_per_second": "steps a second"}.get(key, key)
            told[name] = words_for.get(key, _shown)(value) or _ABSENT
    return told


def _shown(value: Any) -> str:
    if value is None:
        return _ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _flat(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf by its dotted key."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{key}.")
        elif above or key not in _OWN:
            yield f"{above}{key}", value


def _sheet(record: Record) -> Image.Image:
    path = record.path / "contact_sheet.png"
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        remedy = "it is drawn when a run ends; write a .html, which shows what there is"
        raise BadInput("is no picture that can be read", place=str(path), remedy=remedy) from error
