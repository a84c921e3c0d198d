"""Materials: what a reader would make of them."""

from collections.abc import Iterator

import numpy as np

from gen3d_export.audit.limits import Limits
from gen3d_export.audit.report import Finding, judge
from gen3d_export.audit.scene import Material, Scene

OPAQUE = 0.99
"""Opacity from which nothing shines through."""

UNIT = 0.1
"""How far the mean length of a normal map's vectors may be from 1: 8 bits, and where mipmaps were baked in."""


def check(scene: Scene, limits: Limits) -> Iterator[Finding]:
    """Of every material that is used. A PLY has none, and its colours are at the vertices."""
    colored = all(p.colors is not None or (p.material and "base_color" in p.material.pictures) for p in scene.pieces)
    remedy = "bake a base colour: gen3d export"
    value = "of every mesh" if colored else "missing"
    yield judge("base_color", bool(colored), value, "texture or vertex colours", remedy, mild=True)
    if scene.path.suffix.lower() == ".ply":
        return
    bare = sum(piece.material is None for piece in scene.pieces)
    factors = [
        f"{m.name or 'material'}: metallic {_told(m.metallic)}, roughness {_told(m.roughness)}" for m in scene.materials
    ]
    good = not bare and all(m.metallic is not None and m.roughness is not None for m in scene.materials)
    value = "; ".join(factors + ["a mesh without material"] * bool(bare))
    remedy = "write both factors: readers take 1 for what is absent, which is metal"
    yield judge("material_factors", good, value, "both explicit", remedy)
    clear = [m for m in scene.materials if m.opacity < OPAQUE]
    value = ", ".join(f"{m.name or 'material'}: {m.opacity:g}" for m in clear) or "1"
    yield judge("opacity", not clear, value, "1", "remove `Tr`, or set d and alpha to 1", mild=True)
    yield from _normal_maps(scene.materials, limits)


def _normal_maps(materials: tuple[Material, ...], limits: Limits) -> Iterator[Finding]:
    """Unit vectors that point out of the surface."""
    maps = [m.pictures["normal"] for m in materials if "normal" in m.pictures]
    if not maps:
        if limits.normal_map:
            remedy = "export with normal_map=true: the detail that decimation took is nowhere"
            yield Finding("normal_map", "warn", "none", "one", remedy)
        return
    vectors = np.concatenate([picture.pixels.reshape(-1, 3) for picture in maps]) / 127.5 - 1
    length, inward = float(np.linalg.norm(vectors, axis=1).mean()), float((vectors[:, 2] <= 0).mean())
    good = abs(length - 1) <= UNIT and inward <= UNIT
    remedy = "bake it again: tangent space, +Y up, linear"
    yield judge("normal_map", good, f"mean length {length:.3f}, {inward:.1%} inwards", "1, 0%", remedy)


def _told(factor: float | None) -> str:
    return "absent" if factor is None else f"{factor:g}"
