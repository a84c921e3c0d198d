"""How the figures of prompts are shown: tables, a page, a sheet of pictures."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from gen3d.checkpoint import write_atomically
from gen3d_training.scores import row

LEAST = 0.9
"""Accuracy on single held-out views below which the classifier is no judge."""

Row = tuple[str, UInt8[np.ndarray, "views size size 4"]]
"""An object from around, and what is said of it."""

_LABEL = 190  # pixels for the words beside pictures


def recipes_table(result: dict[str, Any]) -> list[list[str]]:
    """A row of text for each recipe, the header first."""
    rows = [["recipe", "named right", "views right", "saturation", "real", "seconds", "MiB", "diversity"]]
    for name, recipe in result["recipes"].items():
        all_, several = recipe["summary"], recipe["particles"] or {}
        figures = [_text(all_[key]) for key in ("share", "saturation", "real_saturation")]
        costs = [_text(all_[key], 0) for key in ("seconds", "memory_mib")]
        rows.append([name, f"{all_['right']} of {all_['of']}", *figures, *costs, _text(several.get("diversity"), 4)])
    if result["real"]:
        rows.append(["real objects", *["-"] * 6, _text(result["real"]["diversity"], 4)])
    return rows


def prompts_table(result: dict[str, Any]) -> list[list[str]]:
    """A row of text for each prompt and recipe, the header first."""
    rows = [["prompt", "recipe", "named", "rank", "views right", "saturation", "real", "seconds", "MiB"]]
    cases = [(name, case) for name, recipe in result["recipes"].items() for case in recipe["prompts"].values()]
    return rows + [[case["prompt"], name, *_cells(case)] for name, case in cases]


def confusion_table(result: dict[str, Any]) -> list[list[str]]:
    """Held-out views by the kind that they are (rows) and the one that they are named, the header first."""
    rows = zip(result["kinds"], result["classifier"]["confusion"], strict=True)
    return [["", *result["kinds"]], *([kind, *map(str, counts)] for kind, counts in rows)]


def classifier_text(result: dict[str, Any]) -> str:
    """What the classifier is worth."""
    about, count = result["classifier"], len(result["kinds"])
    views, objects, held_out = about["views"], about["objects"], about["held_out"]
    text = (
        f"Classifier of {count} kinds, {held_out['objects']} held-out objects ({held_out['views']} views): right in"
        f" {views['right']:.1%} of views and for {objects['right']:.1%} of objects (mean over kinds:"
        f" {views['mean_over_kinds']:.1%} and {objects['mean_over_kinds']:.1%}); chance is {about['chance']:.1%},"
        f" always saying the commonest {about['commonest']:.1%}."
    )
    return text if views["right"] >= LEAST else f"{text} Below {LEAST:.0%} of views: it is no judge of prompts."


def outcome(found: dict[str, Any]) -> str:
    """One case in a few words."""
    if "error" in found:
        return f"failed: {found['error']}"
    if "diversity" in found:
        return f"{', '.join(name or 'nothing' for name in found['named'])}; diversity {found['diversity']:.4f}"
    return f"{_named(found)}, in {found['share']:.0%} of views right, {found['seconds']:.0f} s"


def failures(result: dict[str, Any]) -> list[str]:
    """Each run that made nothing: recipe, prompt, reason."""
    every = [(name, case) for name, recipe in result["recipes"].items() for case in recipe["prompts"].values()]
    every += [(name, recipe["particles"]) for name, recipe in result["recipes"].items() if recipe["particles"]]
    return [f"{name}, {case['prompt']!r}: {case['error']}" for name, case in every if "error" in case]


def markdown(result: dict[str, Any]) -> str:
    """All of it as a page."""
    lines = ["# Text to 3D", "", classifier_text(result), ""]
    for header, *rows in (recipes_table(result), prompts_table(result)):
        lines += [row(header), row(["---"] * len(header)), *map(row, rows), ""]
    if failed := failures(result):
        lines += ["Failed:", "", *(f"- {line}" for line in failed), ""]
    header, *rows = confusion_table(result)
    lines += ["![What was made, from around](sheet.png)", "", "Held-out views, a row a true kind:", ""]
    lines += [row(header), row(["---"] * len(header)), *map(row, rows), ""]
    return "\n".join([*lines, "Protocol:", "", *(f"- {key}: {value}" for key, value in result["protocol"].items()), ""])


def save_sheet(rows: Sequence[Row], path: Path) -> None:
    """Objects from around over white as a PNG file, each beside its words; none without any."""
    if not rows:
        return
    views, size = rows[0][1].shape[:2]
    picture = Image.new("RGB", (_LABEL + views * size, len(rows) * size), (255, 255, 255))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    for at, (words, pictures) in enumerate(rows):
        pen.multiline_text((4, at * size + 4), words, fill=(70, 70, 70), font=font)
        strip = Image.fromarray(np.concatenate([*pictures], axis=1))
        picture.paste(strip, (_LABEL, at * size), strip)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    write_atomically(path, stream.getvalue())


def _cells(case: dict[str, Any]) -> list[str]:
    if "error" in case:
        return ["failed", *["-"] * 6]
    figures = [_text(case[key]) for key in ("share", "saturation", "real_saturation")]
    peak = max(case["memory_mib"].values(), default=None)
    return [_named(case), str(case["rank"]), *figures, _text(case["seconds"], 0), _text(peak, 0)]


def _named(case: dict[str, Any]) -> str:
    return f"{case['named'] or 'nothing'}{'' if case['right'] else ' (wrong)'}"


def _text(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
