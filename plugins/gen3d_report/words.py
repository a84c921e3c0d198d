"""What the page says of a run in words and figures."""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from gen3d_report.chart import number
from gen3d_report.record import Record

_LAST = 20


def title(record: Record) -> str:
    """The prompt, else the recipe's name."""
    inputs = record.resolved.get("inputs")
    prompt = inputs.get("prompt") if isinstance(inputs, dict) else None
    return str(prompt or record.about.get("name") or record.path.name)


def facts(record: Record) -> list[tuple[str, str]]:
    """What one wants to know first."""
    about, asset = record.about, record.asset
    steps, seconds = sum(record.steps.values()), about.get("seconds")
    known: list[tuple[str, str | None]] = [
        ("time", duration(seconds)),
        ("steps", f"{steps:,}" + (f", {about['skipped']} skipped" if about["skipped"] else "")),
        ("triangles", f"{asset['triangles']:,}" if isinstance(asset.get("triangles"), int) else None),
        ("texture", f"{asset['texture']} px" if asset.get("texture") else None),
        ("size", size(asset.get("size"))),
        ("file", megabytes(record.glb.stat().st_size) if record.glb else None),
        ("memory", memory(about["memory"])),
        ("Janus score", f"{about['janus']['score']:.2f}" if about["janus"] else None),
        ("seed", str(record.resolved.get("seed", 0))),
    ]
    return [(name, value) for name, value in known if value]


def times(record: Record) -> list[tuple[str, str, str, str]]:
    """Stage, steps, time and steps a second; what is none of a stage's comes last."""
    rows, left = [], record.about.get("seconds")
    for name, steps in record.steps.items():
        seconds = record.about["stages"].get(name, {}).get("seconds")
        rate = f"{steps / seconds:.2f}" if seconds else ""
        rows.append((f"stage {name}", f"{steps:,}", duration(seconds) or "not finished", rate))
        left = left - seconds if left is not None and seconds is not None else None
    if left is not None and rows:
        rows.append(("loading, export", "", duration(max(left, 0.0)) or "", ""))
    if total := duration(record.about.get("seconds")):
        rows.append(("in all", f"{sum(record.steps.values()):,}", total, ""))
    return rows


def models(record: Record) -> list[dict[str, Any]]:
    """The models that the object was learnt from: kind, weights, licence, source, revision, files with checksums."""
    known, found = record.about["weights"], []
    for model in record.credits.get("models") or []:
        kind, name = str(model.get("kind")), str(model.get("weights"))
        # run.json names weights as the recipe does, credits without a folder's place.
        keys = (key for key in known if key.startswith(f"{kind}: ") and key.endswith(name))
        about: dict[str, Any] = known.get(next(keys, ""), {})
        licence = model.get("licence") or "not known: ask whoever gave you the weights"
        shown = {"kind": kind, "weights": name, "licence": licence, "files": about.get("sha256") or {}}
        shown |= {"source": public(str(about.get("source") or "")), "revision": about.get("revision") or ""}
        found.append(shown)
    return found


def checksums(record: Record) -> dict[str, Any]:
    """Of what the run was made from, files by name and the weights' by model."""
    found: dict[str, Any] = {public(name): digest for name, digest in record.about["sha256"].items()}
    return found | {
        f"{model['kind']}: {model['weights']}": model["files"] for model in models(record) if model["files"]
    }


def public(place: str) -> str:
    """A file's or folder's name without its place on this machine: a page is passed on."""
    return Path(place).name if Path(place).is_absolute() else place


def last(curve: Mapping[int, float | None]) -> str:
    """The mean of a curve's last 20 values."""
    known = [value for _, value in sorted(curve.items())[-_LAST:] if value is not None]
    return number(fmean(known)) if known else "not finite"


def duration(seconds: object) -> str | None:
    """As 42 s, 3:05 min or 1:02:03 h."""
    if not isinstance(seconds, int | float):
        return None
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def megabytes(count: float) -> str:
    """Bytes as people read them; MB are 10^6."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.2f} MB"  # noqa: PLR2004


def memory(peak: object) -> str | None:
    """At the peak."""
    if not isinstance(peak, dict) or not peak:
        return None
    parts = [f"{megabytes(peak['cuda'])} of the GPU"] if "cuda" in peak else []
    return ", ".join(parts + ([megabytes(peak["process"])] if "process" in peak else []))


def size(metres: object) -> str | None:
    """Width, height and depth."""
    if not isinstance(metres, list) or not all(isinstance(value, int | float) for value in metres):
        return None
    return " x ".join(f"{value:.2f}" for value in metres) + " m"
