"""Texture coordinates and pictures."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from gen3d_export.audit.atlas import WIDEST, Atlas, atlases
from gen3d_export.audit.limits import Limits
from gen3d_export.audit.report import Finding, judge
from gen3d_export.audit.scene import Scene

OVERLAP = 1e-3
"""Share of the covered texels that several triangles may claim."""

OUTSIDE = 1e-5
"""How far texture coordinates may leave [0, 1] by rounding."""

NARROWEST = 2
"""Texels that have to lie between charts on any texture."""

STRETCH = 2.0
"""Times by which most of the surface may be coarser than its middle."""


def check(scene: Scene, limits: Limits) -> Iterator[Finding]:
    """Charts first, then the pictures on them."""
    sheets = atlases(scene, limits.texture)
    if any(piece.uv is None for piece in scene.pieces) and scene.pictures:
        yield Finding("uv", "fail", "a mesh has no texture coordinates", "all", "unwrap it: gen3d export --from FILE")
    if sheets:
        yield _inside(sheets)
        yield _overlap(sheets)
        yield _gutter(sheets, limits)
        yield _density(sheets)
    if scene.pictures:
        yield from _sizes(scene, limits)


def _inside(sheets: list[Atlas]) -> Finding:
    reach = max(max(-float(sheet.uv.min()), float(sheet.uv.max()) - 1) for sheet in sheets)
    value = f"{max(reach, 0.0):.3g} beyond [0, 1]"
    return judge("uv_range", reach <= OUTSIDE, value, "0", "move the charts into the unit square: baking needs it")


def _overlap(sheets: list[Atlas]) -> Finding:
    counts = [sheet.drawn[1] for sheet in sheets]
    covered, twice = sum(int((c > 0).sum()) for c in counts), sum(int((c > 1).sum()) for c in counts)
    share = twice / max(covered, 1)
    remedy = "unwrap again: what is baked to shared texels shows twice"
    return judge("uv_overlap", share <= OVERLAP, f"{twice} texels ({share:.2%})", f"{OVERLAP:.1%}", remedy)


def _gutter(sheets: list[Atlas], limits: Limits) -> Finding:
    gap, charts = min(sheet.gap() for sheet in sheets), sum(int(sheet.chart.max()) + 1 for sheet in sheets)
    value = f"{gap if gap < WIDEST else f'at least {WIDEST}'} texels, {charts} charts"
    if limits.padding is None or limits.texture is None:
        return Finding("gutter", "pass", value)
    # A smaller texture has fewer mipmaps: what protects them all is as wide on the object.
    side = max(max(sheet.width, sheet.height) for sheet in sheets)
    wanted = min(limits.padding, max(limits.padding * side // limits.texture, NARROWEST))
    remedy = "unwrap with more padding: mipmaps mix what is closer"
    return judge("gutter", gap >= wanted, value, f"{wanted} texels", remedy)


def _density(sheets: list[Atlas]) -> Finding:
    """Texels per metre: the square root of texels over area, for each triangle, weighted by its area."""
    texels, areas = (np.concatenate(parts) for parts in zip(*map(_areas, sheets), strict=True))
    density = np.sqrt(texels / np.maximum(areas, 1e-30))
    order = np.argsort(density)
    share = np.cumsum(areas[order]) / max(float(areas.sum()), 1e-30)
    low, middle = (float(density[order][min(np.searchsorted(share, at), len(order) - 1)]) for at in (0.05, 0.5))
    used = float(texels.sum()) / sum(sheet.width * sheet.height for sheet in sheets)
    value = f"{middle:.4g} texels/m, {low:.4g} on the coarsest 5 %, {used:.0%} of the texture used"
    limit = f"coarsest at least 1/{STRETCH:g}"
    remedy = "unwrap again: parts of the surface get far fewer texels than others"
    return judge("texel_density", low * STRETCH >= middle, value, limit, remedy, mild=True)


def _areas(sheet: Atlas) -> tuple[Float[np.ndarray, " faces"], Float[np.ndarray, " faces"]]:
    """Of each triangle, in texels and in space."""
    flat = np.linalg.det(sheet.corners[:, 1:] - sheet.corners[:, :1])
    a, b = (sheet.places[:, i] - sheet.places[:, 0] for i in (1, 2))
    return np.abs(flat) / 2, np.linalg.norm(np.cross(a, b), axis=1) / 2


def _sizes(scene: Scene, limits: Limits) -> Iterator[Finding]:
    sizes = sorted({picture.size for picture in scene.pictures})
    value = ", ".join(f"{width} x {height}" for width, height in sizes)
    sides = [side for size in sizes for side in size]
    remedy = "export with texture=1024 or another power of two"
    yield judge("power_of_two", all(side & (side - 1) == 0 for side in sides), value, "2^k", remedy)
    if limits.texture is None:
        yield Finding("texture", "pass", value)
    else:
        remedy = f"export with texture={limits.texture}"
        yield judge("texture", max(sides) <= limits.texture, value, f"{limits.texture}", remedy)
