"""The page about a run, as HTML that needs nothing else."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gen3d_report import words
from gen3d_report.chart import COLORS, chart
from gen3d_report.checklist import checklist
from gen3d_report.inline import Inlined, policy
from gen3d_report.record import Record

_FOLDER = Path(__file__).parent / "page"
_MOMENTS = 12  # pictures of a stage on its way, at most


def page(record: Record, inlined: Inlined | None = None) -> str:
    """All of it: whatever stands in a recipe, a prompt or a message is text there, never markup.

    Args:
        record: the run.
        inlined: where files are counted against a limit.
    """
    inlined = inlined or Inlined()
    glb = inlined.base64(record.glb)
    scripts = [source(name) for name in ("model-viewer.min.js", "viewer.js")] if glb else []
    media = {
        "turntable": inlined.video(record.path / "turntable.mp4"),
        "views": inlined.picture(record.path / "contact_sheet.png"),
        "moments": _moments(record, "preview", inlined),
        "seen": _moments(record, "seen", inlined),
    }
    values = {
        "record": record,
        "glb": glb,
        "scripts": scripts,
        "policy": policy(*scripts),
        "style": source("report.css"),
        "title": words.title(record),
        "facts": words.facts(record),
        "times": words.times(record),
        "stages": _stages(record),
        "checked": _checked(record),
        "models": words.models(record),
        "checksums": words.checksums(record),
        "recipe_name": words.public(record.about["recipe"]),
        "janus": record.about["janus"],
        "warnings": record.about["warnings"],
        "left_out": inlined.left_out,
        **media,
    }
    return environment().get_template("report.html").render(values)


def environment() -> Environment:
    """Where the templates are; everything is escaped."""
    templates = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    return templates


def source(name: str) -> Markup:
    """A file beside the templates, as it is."""
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704 (ours)


def _stages(record: Record) -> list[dict[str, Any]]:
    """A chart and its legend for each stage: colour, name and the mean of its last values."""
    shown = []
    for name, curves in record.curves.items():
        steps = record.steps[name]
        legend = [
            {"color": index % COLORS, "name": term, "last": words.last(curve)}
            for index, (term, curve) in enumerate(curves.items())
        ]
        shown.append({"name": name, "steps": steps, "chart": chart(curves, steps), "legend": legend})
    return shown


def _moments(record: Record, folder: str, inlined: Inlined) -> list[dict[str, Any]]:
    """Pictures of the stages on their way, evenly chosen, the last one always among them."""
    chosen: list[dict[str, Any]] = []
    for stage, pictures in record.pictures(folder).items():
        steps = list(pictures)
        count = min(len(steps), _MOMENTS)
        kept = [steps[(index + 1) * len(steps) // count - 1] for index in range(count)]
        made = [{"stage": stage, "step": step, "picture": inlined.picture(pictures[step])} for step in kept]
        chosen += [moment for moment in made if moment["picture"]]
    return chosen


def _checked(record: Record) -> dict[str, Any] | str:
    if record.glb is None:
        return "nothing was exported as GLB"
    preset = record.asset.get("preset")
    return checklist(record.glb, preset if isinstance(preset, str) else None)
