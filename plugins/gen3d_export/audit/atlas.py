"""The texture's plane: which chart covers each texel."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from gen3d_export.audit.scene import Scene
from gen3d_export.audit.shape import components

MOST = 4096
"""Texels along a side at which charts are drawn: a larger texture is looked at as one of this size."""

BESIDE = 0.01
"""Texels from a triangle's edges within which a texel's centre is not inside: neighbours share edges."""

AT_ONCE = 1 << 21
"""Texels that are tested together: bounds the memory."""

WIDEST = 32
"""Texels up to which gaps between charts are measured."""


@dataclass(frozen=True, eq=False)
class Atlas:
    """The triangles that share a texture.

    Args:
        uv: corners of the triangles, v upwards.
        places: corners of the same triangles in space.
        width: of the texture, texels.
        height: of the texture, texels.
        wraps: whether the left edge is mixed with the right one.
    """

    uv: Float[np.ndarray, "faces 3 2"]
    places: Float[np.ndarray, "faces 3 3"]
    width: int
    height: int
    wraps: bool

    @cached_property
    def corners(self) -> Float[np.ndarray, "faces 3 2"]:
        """In texels, the origin at the lower left."""
        return self.uv * np.array([self.width, self.height])

    @cached_property
    def chart(self) -> Int[np.ndarray, " faces"]:
        """The chart of each face, from 0: what hangs together both in space and on the texture."""
        both = np.concatenate([self.uv, self.places], axis=-1).reshape(-1, 5)
        points, inverse = np.unique(both, axis=0, return_inverse=True)
        return components(inverse.reshape(-1, 3), len(points))

    @cached_property
    def drawn(self) -> tuple[Int[np.ndarray, "height width"], Int[np.ndarray, "height width"]]:
        """The chart of each texel, from 1, where 0 is none; and the triangles that its centre is well inside of."""
        labels, count = (np.zeros(self.height * self.width, dtype=np.int32) for _ in range(2))
        low = np.ceil(self.corners.min(axis=1) - 0.5).astype(np.int64).clip(0, (self.width, self.height))
        high = np.floor(self.corners.max(axis=1) + 0.5).astype(np.int64).clip(low, (self.width, self.height))
        tested = (high - low).prod(axis=1)
        splits = np.flatnonzero(np.diff(np.cumsum(tested) // AT_ONCE)) + 1
        for faces in np.split(np.arange(len(self.uv)), splits):
            texels, owners, inside, well = self._covered(faces, low[faces], high[faces])
            labels[texels[inside]] = self.chart[owners[inside]] + 1
            count += np.bincount(texels[well], minlength=len(count)).astype(np.int32)
        return labels.reshape(self.height, self.width), count.reshape(self.height, self.width)

    def _covered(
        self, faces: Int[np.ndarray, " some"], low: Int[np.ndarray, "some 2"], high: Int[np.ndarray, "some 2"]
    ) -> tuple[
        Int[np.ndarray, " texels"], Int[np.ndarray, " texels"], Bool[np.ndarray, " texels"], Bool[np.ndarray, " texels"]
    ]:
        """The texels of the triangles' boxes, whose they are, and which are inside, and well inside."""
        width, height = (high - low).T
        each = np.repeat(np.arange(len(faces)), width * height)
        at = np.arange(len(each)) - np.repeat(np.cumsum(width * height) - width * height, width * height)
        row, column = np.divmod(at, width[each])
        texel = np.stack([column, row], axis=-1) + low[each]
        depth = np.full(len(each), np.inf)
        corners = self.corners[faces]
        turn = np.sign(_cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
        for i in range(3):
            start, along = corners[:, i], corners[:, (i + 1) % 3] - corners[:, i]
            along = along * (turn / np.linalg.norm(along, axis=1).clip(1e-12))[:, None]
            depth = np.minimum(depth, _cross(along[each], texel + 0.5 - start[each]))
        inside = (depth >= 0) & (turn[each] != 0)
        return texel[:, 1] * self.width + texel[:, 0], faces[each], inside, inside & (depth > BESIDE)

    def gap(self) -> int:
        """The fewest texels that lie between two charts, along rows or columns; WIDEST where there are more.

        Two texels are less than n apart where a square of n + 1 texels holds both.
        """
        sizes = range(2, WIDEST + 2)
        narrow, wide = 0, len(sizes)
        while narrow < wide:
            middle = (narrow + wide) // 2
            narrow, wide = (narrow, middle) if self._meet(sizes[middle]) else (middle + 1, wide)
        return narrow

    def _meet(self, size: int) -> bool:
        """Whether a square of that many texels holds two charts."""
        labels, mode = self.drawn[0], "wrap" if self.wraps else "nearest"
        highest = ndimage.maximum_filter(labels, size, mode=mode)
        lowest = ndimage.minimum_filter(np.where(labels, labels, np.iinfo(np.int32).max), size, mode=mode)
        return bool(((highest > 0) & (highest != lowest)).any())


def atlases(scene: Scene, texture: int | None) -> list[Atlas]:
    """One for each material with texture coordinates; `texture` is the side where no picture tells it."""
    result = []
    for material in {id(p.material): p.material for p in scene.pieces if p.uv is not None}.values():
        pieces = [p for p in scene.pieces if p.material is material and p.uv is not None]
        pictures = material.pictures if material else {}
        first = pictures.get("base_color") or next(iter(pictures.values()), None)
        size = np.array(first.size if first else (texture or 1024,) * 2)
        width, height = (size / max(1, size.max() / MOST)).astype(int).tolist()
        uv = np.concatenate([p.uv[p.faces] for p in pieces if p.uv is not None])
        places = np.concatenate([p.corners for p in pieces])
        result.append(Atlas(np.asarray(uv, dtype=np.float64), places, width, height, first is None or first.wraps))
    return result


def _cross(a: Float[np.ndarray, "vectors 2"], b: Float[np.ndarray, "vectors 2"]) -> Float[np.ndarray, " vectors"]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
