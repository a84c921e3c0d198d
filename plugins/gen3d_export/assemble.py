"""From a dense mesh and its paint to a finished asset: the pipeline."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import trimesh

from gen3d_export.asset import Asset, Body, Hull
from gen3d_export.bake import bake
from gen3d_export.decimate import decimate
from gen3d_export.frame import Frame, Pivot, to_gltf
from gen3d_export.hulls import convex_hulls
from gen3d_export.paint import Paint
from gen3d_export.unwrap import TIMEOUT, Unwrapped, unwrap

SHARES = (1.0, 0.5, 0.25, 0.1, 0.05)
"""Triangles of the levels of detail, as shares of the finest one's."""

SMALLEST = 16
"""Texels along a side of the coarsest level's texture."""

LEAST = 5.0
"""Seconds that each level has for good charts, when finer ones have used up the time of all."""


@dataclass(frozen=True)
class Plan:
    """What an asset is to be like; the keys of `GameMesh`, with nothing left open.

    Args:
        triangles: of the finest level, at most.
        texture: texels along a side of the finest level's pictures; half of it for each coarser one.
        padding: texels between charts.
        normal_map: bake one.
        occlusion: bake it.
        lods: coarser levels.
        collision: `convex:N`, `box` or `none`.
        pivot: what lies at the origin.
        height: metres, or None.
    """

    triangles: int
    texture: int
    padding: int
    normal_map: bool
    occlusion: bool
    lods: int = 0
    collision: str = "none"
    pivot: Pivot = "bottom"
    height: float | None = None


def assemble(name: str, whole: trimesh.Trimesh, paint: Paint, plan: Plan, unit: float | None = None) -> Asset:
    """Every level, from the welded dense mesh and the paint itself, and the hulls.

    Args:
        name: of nodes, meshes and materials.
        whole: clean, dense, in our frame.
        paint: its colours.
        plan: what it is to be like.
        unit: metres of a unit of the mesh, where that is known.
    """
    finest = decimate(whole, plan.triangles)
    frame = Frame.around(np.asarray(finest.vertices), plan.pivot, plan.height, unit)
    coarser = (decimate(whole, int(share * len(finest.faces))) for share in SHARES[1 : plan.lods + 1])
    charted = _charted([finest, *coarser], plan)
    levels = tuple(_body(mesh, paint, whole, frame, plan, level) for level, mesh in enumerate(charted))
    hulls = convex_hulls(finest, plan.collision)
    return Asset(name, levels, tuple(Hull(frame.places(hull.vertices), np.asarray(hull.faces)) for hull in hulls))


def _charted(meshes: Sequence[trimesh.Trimesh], plan: Plan) -> Iterator[Unwrapped]:
    """Charts of each level; all together have the time of one, so that no mesh takes minutes."""
    left = TIMEOUT
    for level, mesh in enumerate(meshes):
        began = time.monotonic()
        charted = unwrap(mesh, _texture(plan, level), max(plan.padding >> level, 2), max(left, LEAST))
        left -= time.monotonic() - began
        yield charted


def _texture(plan: Plan, level: int) -> int:
    return max(plan.texture >> level, SMALLEST)


def _body(charted: Unwrapped, paint: Paint, whole: trimesh.Trimesh, frame: Frame, plan: Plan, level: int) -> Body:
    """One level: pictures, and the frame of the files."""
    baked = bake(paint, charted, whole, _texture(plan, level), normal_map=plan.normal_map, occlusion=plan.occlusion)
    split, tangents = baked.mesh, baked.tangents
    if tangents is not None:
        tangents = np.concatenate([to_gltf(tangents[:, :3]), tangents[:, 3:]], axis=1)
    return Body(frame.places(split.vertices), split.faces, to_gltf(split.normals), split.uv, tangents, baked.maps)
