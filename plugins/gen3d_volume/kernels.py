"""The sums of `gen3d_volume.composite` as Triton kernels.

One warp walks along one ray, a block of samples after the other, and keeps what it has summed in a register: nothing
of a ray depends on another one, so no sum runs over all rays and float32 suffices. Sums before a sample leave it out,
and are not a sum from which it is taken off again: behind a wall that would leave noise, which Adam makes steps of.
Samples lie one after another in memory, so a warp reads whole lines. Rays without samples cost a launched warp.
"""

from typing import no_type_check

import triton
import triton.language as tl


@triton.jit
@no_type_check  # neither here nor in tests: Triton compiles the source, and knows types of its own
def _opacity(depth):
    """1 - exp(-depth), by its series where the difference would lose digits."""
    series = depth * (1 - depth / 2 * (1 - depth / 3 * (1 - depth / 4 * (1 - depth / 5))))
    return tl.where(tl.abs(depth) < 0.1, series, 1 - tl.exp(-depth))


@triton.jit
@no_type_check
def weights(depths, offsets, light, weight, left, BLOCK: tl.constexpr):
    """Light that reaches each sample, the sample's weight, and what is left at the end of each ray."""
    ray = tl.program_id(0)
    begin, end = tl.load(offsets + ray), tl.load(offsets + ray + 1)
    passed = 0.0
    for start in range(begin, end, BLOCK):
        at = start + tl.arange(0, BLOCK)
        here = at < end
        previous = tl.load(depths + at - 1, mask=here & (at > begin), other=0.0)
        reaching = tl.exp(-(passed + tl.cumsum(previous, 0)))
        depth = tl.load(depths + at, mask=here, other=0.0)
        tl.store(light + at, reaching, mask=here)
        tl.store(weight + at, reaching * _opacity(depth), mask=here)
        passed += tl.sum(previous, 0)
    last = tl.load(depths + end - 1, mask=end > begin, other=0.0)
    tl.store(left + ray, tl.exp(-(passed + last)))


@triton.jit
@no_type_check
def to_depths(light, weight, left, to_weight, to_left, offsets, out, BLOCK: tl.constexpr):
    """The gradient on the depths, from the end of each ray to its start."""
    ray = tl.program_id(0)
    begin, end = tl.load(offsets + ray), tl.load(offsets + ray + 1)
    behind = tl.load(to_left + ray) * tl.load(left + ray)
    blocks = tl.cdiv(end - begin, BLOCK)
    for number in range(blocks):
        at = begin + (blocks - 1 - number) * BLOCK + tl.arange(0, BLOCK)
        here, more = at < end, at + 1 < end
        following = tl.load(to_weight + at + 1, mask=more, other=0.0) * tl.load(weight + at + 1, mask=more, other=0.0)
        after = behind + tl.cumsum(following, 0, reverse=True)
        passing = tl.load(light + at, mask=here, other=0.0) - tl.load(weight + at, mask=here, other=0.0)
        tl.store(out + at, passing * tl.load(to_weight + at, mask=here, other=0.0) - after, mask=here)
        behind += tl.sum(following, 0)


@triton.jit
@no_type_check
def composite(
    values, weight, offsets, out, by_sample, by_channel, channels, BLOCK: tl.constexpr, CHANNELS: tl.constexpr
):
    """Sum of the weighted samples of each ray, all channels at once."""
    ray = tl.program_id(0)
    begin, end = tl.load(offsets + ray), tl.load(offsets + ray + 1)
    channel = tl.arange(0, CHANNELS)
    total = tl.zeros((CHANNELS,), tl.float32)
    for start in range(begin, end, BLOCK):
        at = start + tl.arange(0, BLOCK)
        here = (at < end)[:, None] & (channel < channels)[None, :]
        places = values + at.to(tl.int64)[:, None] * by_sample + channel[None, :] * by_channel
        share = tl.load(weight + at, mask=at < end, other=0.0)
        total += tl.sum(share[:, None] * tl.load(places, mask=here, other=0.0), axis=0)
    tl.store(out + ray * channels + channel, total, mask=channel < channels)


@triton.jit
@no_type_check
def from_composite(
    values, weight, rays, upstream, to_values, to_weight, by_sample, by_channel, by_ray, by_color, samples, channels,
    VALUES: tl.constexpr, BLOCK: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """The gradient on the weights, and where VALUES says so on the values: each sample reads that of its ray."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real, channel = at < samples, tl.arange(0, CHANNELS)
    here = real[:, None] & (channel < channels)[None, :]
    ray = tl.load(rays + at, mask=real, other=0).to(tl.int64)
    gradient = tl.load(upstream + ray[:, None] * by_ray + channel[None, :] * by_color, mask=here, other=0.0)
    places = values + at.to(tl.int64)[:, None] * by_sample + channel[None, :] * by_channel
    tl.store(to_weight + at, tl.sum(gradient * tl.load(places, mask=here, other=0.0), axis=1), mask=real)
    if VALUES:
        share = tl.load(weight + at, mask=real, other=0.0)
        rows = to_values + at.to(tl.int64)[:, None] * channels + channel[None, :]
        tl.store(rows, share[:, None] * gradient, mask=here)
