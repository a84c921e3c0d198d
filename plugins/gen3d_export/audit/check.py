"""Whether a file will do."""

from collections.abc import Iterator
from pathlib import Path

from gen3d_export.audit import material, shape, texture, vectors, whole
from gen3d_export.audit.limits import Limits
from gen3d_export.audit.read import read
from gen3d_export.audit.report import Finding, Report
from gen3d_export.audit.scene import Scene


def check(path: str | Path, preset: str | None = None, against: str | Path | None = None) -> Report:
    """Audit a file, from its bytes alone.

    Args:
        path: a GLB, glTF, OBJ, PLY or USD file.
        preset: mobile, prop, hero or film: whose budget it is held against; without one it is only told what it costs.
        against: the directory of the run that the file was exported from: what got lost on the way.

    Raises:
        BadInput: the file, the preset or the run cannot be used.
        Unavailable: what reads the file's format is not installed.
    """
    limits, scene = Limits.of(preset), read(Path(path))
    findings = list(_findings(scene, limits))
    figures = {
        "triangles": sum(len(p.faces) for p in scene.pieces),
        "vertices": sum(len(p.positions) for p in scene.pieces),
    }
    if against is not None:
        from gen3d_export.audit.against import compare

        finding, loss = compare(scene, Path(against), limits)
        findings.append(finding)
        figures |= loss
    return Report(Path(path), preset, tuple(findings), figures)


def _findings(scene: Scene, limits: Limits) -> Iterator[Finding]:
    """What is seen first, then what collides, then the file."""
    if scene.pieces:
        yield from whole.check(scene, limits)
        yield from shape.check(scene)
        yield from vectors.check(scene)
        yield from texture.check(scene, limits)
        yield from material.check(scene, limits)
    yield from shape.check_hulls(scene)
    yield from whole.check_names(scene)
    yield from whole.check_extensions(scene)
