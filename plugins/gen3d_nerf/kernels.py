"""The arithmetic of `gen3d_nerf.plain` as Triton kernels: corners and weights never leave the registers.

What a lookup costs is its memory traffic, so that is what the kernels are cut by:

- A program does a block of points on a few levels, and all blocks of those levels come before the next levels: program
  numbers count points first. So the entries in use at a time, up to 4 MiB a level, stay in the L2 cache.
- Both features of an entry are the last axis of every tile, so that they are one load of 8 bytes, and where the card
  has such, one atomic addition.
- Places and features are planar, one point after another: neighbouring threads write neighbouring addresses.
  Gradients come with any strides. Those of a linear layer lie point by point, where the pairs of four levels are one
  sector of 32 bytes: one more reason for a few levels at once.
- Points along a ray are neighbours, and so are the entries they meet on coarse levels: their sums are left to the
  atomic units of the L2 cache, which are busy with the fine levels for most of the time anyway.

`layout` has a row for each level: stride (0: hashed), entries, first entry. `shares` below are the way from a cell's
lower corner to its upper one. Corners are counted in binary xyz.
"""

from typing import no_type_check

import triton
import triton.language as tl

_PRIME_Y = tl.constexpr(2654435761 - (1 << 32))  # as int32, where products wrap: the last bits are what counts
_PRIME_Z = tl.constexpr(805459861)


@triton.jit
@no_type_check  # neither here nor in tests: Triton compiles the source, and knows types of its own
def _level(scales, layout, active, number):
    """Scale, how much the level counts, and how its entries are found."""
    stride = tl.load(layout + 3 * number)
    entries = tl.load(layout + 3 * number + 1)
    first = tl.load(layout + 3 * number + 2)
    dense = stride > 0
    by_y = tl.where(dense, stride, _PRIME_Y)
    by_z = tl.where(dense, stride * stride, _PRIME_Z)
    counts = tl.minimum(tl.maximum(active - number, 0.0), 1.0)
    return tl.load(scales + number), counts, dense, by_y, by_z, entries, first


@triton.jit
@no_type_check
def _low(at, scale):
    """A place that is not a number gives features that are none, and so shows, but reads nothing outside the table."""
    return tl.floor(tl.minimum(tl.where(at > 0.0, at, 0.0), scale + 0.5))


@triton.jit
@no_type_check
def _cell(where, count, points, real, scale):
    """The lower corner's number along each axis, and the shares; of a cell that is there whatever the place is."""
    at_x = tl.load(where + points, mask=real, other=0.0) * scale + 0.5
    at_y = tl.load(where + count + points, mask=real, other=0.0) * scale + 0.5
    at_z = tl.load(where + 2 * count + points, mask=real, other=0.0) * scale + 0.5
    low_x, low_y, low_z = _low(at_x, scale), _low(at_y, scale), _low(at_z, scale)
    x, y, z = low_x.to(tl.int32), low_y.to(tl.int32), low_z.to(tl.int32)
    return x, y, z, at_x - low_x, at_y - low_y, at_z - low_z


@triton.jit
@no_type_check
def _entry(x, y, z, dense, by_y, by_z, entries, CORNER: tl.constexpr):
    """Number of a corner's entry within the level."""
    x = x + CORNER // 4
    y = (y + CORNER // 2 % 2) * by_y
    z = (z + CORNER % 2) * by_z
    counted = x + y + z
    counted = tl.where(counted < entries, counted, counted - entries)  # the last corners run on, as in tiny-cuda-nn
    return tl.where(dense, counted, (x ^ y ^ z) & (entries - 1))


@triton.jit
@no_type_check
def _eased(share, SMOOTH: tl.constexpr):
    return share * share * (3.0 - 2.0 * share) if SMOOTH else share


@triton.jit
@no_type_check
def _steepness(share, scale, SMOOTH: tl.constexpr):
    """How fast the eased share changes with the place."""
    return 6.0 * share * (1.0 - share) * scale if SMOOTH else tl.zeros_like(share) + scale


@triton.jit
@no_type_check
def _weight(share, UPPER: tl.constexpr):
    """Weight along one axis."""
    return share if UPPER else 1.0 - share


@triton.jit
@no_type_check
def _signed(slope, UPPER: tl.constexpr):
    """How the weight along one axis changes."""
    return slope if UPPER else -slope


@triton.jit
@no_type_check
def values(
    table, where, out, scales, layout, active, count, levels,
    SMOOTH: tl.constexpr, GROUP: tl.constexpr, POINTS: tl.constexpr,
):  # fmt: skip
    """`out`: "features points"."""
    points = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    real, pair = points < count, tl.arange(0, 2)
    begin = tl.program_id(1) * GROUP
    for number in range(begin, tl.minimum(begin + GROUP, levels)):
        scale, counts, dense, by_y, by_z, entries, first = _level(scales, layout, active, number)
        asked = (points < tl.where(counts > 0, count, 0))[:, None]
        x, y, z, u, v, w = _cell(where, count, points, real, scale)
        u, v, w = _eased(u, SMOOTH), _eased(v, SMOOTH), _eased(w, SMOOTH)
        total = tl.zeros((POINTS, 2), tl.float32)
        for corner in tl.static_range(8):
            entry = _entry(x, y, z, dense, by_y, by_z, entries, corner)
            weight = _weight(u, corner // 4) * _weight(v, corner // 2 % 2) * _weight(w, corner % 2)
            found = tl.load(table + ((first + entry) * 2)[:, None] + pair[None, :], mask=asked, other=0.0)
            total += weight[:, None] * found.to(tl.float32)
        places = out + (2 * number + pair).to(tl.int64)[None, :] * count + points[:, None]
        tl.store(places, counts * total, mask=real[:, None])


@triton.jit
@no_type_check
def to_table(
    gradient, where, total, scales, layout, active, count, levels, by_point, by_feature,
    SMOOTH: tl.constexpr, GROUP: tl.constexpr, POINTS: tl.constexpr,
):  # fmt: skip
    """Adds to `total`: "entries 2"."""
    points = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    real, pair = points < count, tl.arange(0, 2)
    rows = gradient + points.to(tl.int64)[:, None] * by_point
    begin = tl.program_id(1) * GROUP
    for number in range(begin, tl.minimum(begin + GROUP, levels)):
        scale, counts, dense, by_y, by_z, entries, first = _level(scales, layout, active, number)
        asked = (points < tl.where(counts > 0, count, 0))[:, None]
        x, y, z, u, v, w = _cell(where, count, points, real, scale)
        u, v, w = _eased(u, SMOOTH), _eased(v, SMOOTH), _eased(w, SMOOTH)
        columns = (2 * number + pair).to(tl.int64)[None, :] * by_feature
        upstream = counts * tl.load(rows + columns, mask=real[:, None], other=0.0).to(tl.float32)
        for corner in tl.static_range(8):
            entry = _entry(x, y, z, dense, by_y, by_z, entries, corner)
            weight = _weight(u, corner // 4) * _weight(v, corner // 2 % 2) * _weight(w, corner % 2)
            places = total + ((first + entry) * 2)[:, None] + pair[None, :]
            tl.atomic_add(places, weight[:, None] * upstream, mask=asked, sem="relaxed")


@triton.jit
@no_type_check
def slope(
    gradient, table, where, out, scales, layout, active, count, levels, by_point, by_feature,
    SMOOTH: tl.constexpr, GROUP: tl.constexpr, POINTS: tl.constexpr,
):  # fmt: skip
    """`out`: "groups 3 points", each group of levels by itself: no atomic additions, and always the same sum."""
    points = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    real, pair = points < count, tl.arange(0, 2)
    rows = gradient + points.to(tl.int64)[:, None] * by_point
    to_x = tl.zeros((POINTS,), tl.float32)
    to_y = tl.zeros((POINTS,), tl.float32)
    to_z = tl.zeros((POINTS,), tl.float32)
    begin = tl.program_id(1) * GROUP
    for number in range(begin, tl.minimum(begin + GROUP, levels)):
        scale, counts, dense, by_y, by_z, entries, first = _level(scales, layout, active, number)
        asked = (points < tl.where(counts > 0, count, 0))[:, None]
        x, y, z, u, v, w = _cell(where, count, points, real, scale)
        steep_x = _steepness(u, scale, SMOOTH)
        steep_y = _steepness(v, scale, SMOOTH)
        steep_z = _steepness(w, scale, SMOOTH)
        u, v, w = _eased(u, SMOOTH), _eased(v, SMOOTH), _eased(w, SMOOTH)
        columns = (2 * number + pair).to(tl.int64)[None, :] * by_feature
        upstream = counts * tl.load(rows + columns, mask=real[:, None], other=0.0).to(tl.float32)
        for corner in tl.static_range(8):
            entry = _entry(x, y, z, dense, by_y, by_z, entries, corner)
            found = tl.load(table + ((first + entry) * 2)[:, None] + pair[None, :], mask=asked, other=0.0)
            seen = tl.sum(found.to(tl.float32) * upstream, axis=1)
            weight_x, weight_y, weight_z = _weight(u, corner // 4), _weight(v, corner // 2 % 2), _weight(w, corner % 2)
            to_x += _signed(steep_x, corner // 4) * weight_y * weight_z * seen
            to_y += weight_x * _signed(steep_y, corner // 2 % 2) * weight_z * seen
            to_z += weight_x * weight_y * _signed(steep_z, corner % 2) * seen
    axes = out + tl.program_id(1).to(tl.int64) * 3 * count + points
    tl.store(axes, to_x, mask=real)
    tl.store(axes + count, to_y, mask=real)
    tl.store(axes + 2 * count, to_z, mask=real)


@triton.jit
@no_type_check
def from_slope(
    upstream, gradient, table, where, to_gradient, to_table, scales, layout, active, count, levels,
    by_point, by_feature, SMOOTH: tl.constexpr, GROUP: tl.constexpr, POINTS: tl.constexpr,
):  # fmt: skip
    """Writes `to_gradient`: "features points", and adds to `to_table`: "entries 2"."""
    points = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    real, pair = points < count, tl.arange(0, 2)
    rows = gradient + points.to(tl.int64)[:, None] * by_point
    along_x = tl.load(upstream + points, mask=real, other=0.0)
    along_y = tl.load(upstream + count + points, mask=real, other=0.0)
    along_z = tl.load(upstream + 2 * count + points, mask=real, other=0.0)
    begin = tl.program_id(1) * GROUP
    for number in range(begin, tl.minimum(begin + GROUP, levels)):
        scale, counts, dense, by_y, by_z, entries, first = _level(scales, layout, active, number)
        asked = (points < tl.where(counts > 0, count, 0))[:, None]
        x, y, z, u, v, w = _cell(where, count, points, real, scale)
        turn_x = along_x * _steepness(u, scale, SMOOTH)
        turn_y = along_y * _steepness(v, scale, SMOOTH)
        turn_z = along_z * _steepness(w, scale, SMOOTH)
        u, v, w = _eased(u, SMOOTH), _eased(v, SMOOTH), _eased(w, SMOOTH)
        columns = (2 * number + pair).to(tl.int64)[None, :] * by_feature
        weights = counts * tl.load(rows + columns, mask=real[:, None], other=0.0).to(tl.float32)
        total = tl.zeros((POINTS, 2), tl.float32)
        for corner in tl.static_range(8):
            entry = _entry(x, y, z, dense, by_y, by_z, entries, corner)
            weight_x, weight_y, weight_z = _weight(u, corner // 4), _weight(v, corner // 2 % 2), _weight(w, corner % 2)
            change = _signed(turn_x, corner // 4) * weight_y * weight_z
            change += weight_x * _signed(turn_y, corner // 2 % 2) * weight_z
            change += weight_x * weight_y * _signed(turn_z, corner % 2)
            offsets = ((first + entry) * 2)[:, None] + pair[None, :]
            total += change[:, None] * tl.load(table + offsets, mask=asked, other=0.0).to(tl.float32)
            tl.atomic_add(to_table + offsets, change[:, None] * weights, mask=asked, sem="relaxed")
        places = to_gradient + (2 * number + pair).to(tl.int64)[None, :] * count + points[:, None]
        tl.store(places, counts * total, mask=real[:, None])
