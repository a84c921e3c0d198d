"""A finished asset that is small enough to know every number of it: a box, each of whose sides has a chart."""

import numpy as np

from gen3d_export.asset import Asset, Body, Hull, Maps

SIZE = (0.2, 0.4, 0.6)
"""Metres along X, Y and Z; the middle of the underside is the origin."""

SIDES = (((0, 0, 1), (1, 0, 0)), ((0, 0, -1), (-1, 0, 0)), ((1, 0, 0), (0, 0, -1)))
SIDES += (((-1, 0, 0), (0, 0, 1)), ((0, 1, 0), (1, 0, 0)), ((0, -1, 0), (1, 0, 0)))
"""Normal of each side, and the direction in which u grows on it."""

COLORS = ((250, 10, 20), (10, 240, 30), (20, 30, 230), (220, 210, 10), (200, 20, 190), (30, 180, 170))
"""Of each side, in the order of SIDES."""


def box_body(texels: int = 12, *, detail: bool = False) -> Body:
    """The box; with `detail` it has an ORM picture, a normal map and tangents."""
    normals, right = (np.array(rows, dtype=float) for rows in zip(*SIDES, strict=True))
    up = np.cross(normals, right)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    spread = corners[None, :, :1] * right[:, None] + corners[None, :, 1:] * up[:, None]
    places = (normals[:, None] + spread).reshape(-1, 3) * np.array(SIZE) / 2 + [0, SIZE[1] / 2, 0]
    side = np.arange(6)
    lower = np.stack([side % 3 / 3, side // 3 / 2], axis=-1)
    uv = lower[:, None] + (corners + 1) / 2 * [1 / 3, 1 / 2] * 0.8 + [1 / 30, 1 / 20]
    faces = (np.array([[0, 1, 2], [0, 2, 3]]) + 4 * side[:, None, None]).reshape(-1, 3)
    row, column = np.indices((texels, texels))
    chart = (1 - 2 * row // texels) * 3 + 3 * column // texels
    color = np.array(COLORS, dtype=np.uint8)[chart]
    orm = np.stack([250 - chart, 100 + chart, 10 * chart], axis=-1).astype(np.uint8)
    normal = np.broadcast_to(np.array([128, 128, 255], dtype=np.uint8), color.shape).copy()
    tangents = np.column_stack([np.repeat(right, 4, axis=0), np.ones(24)])
    return Body(
        places,
        faces,
        np.repeat(normals, 4, axis=0),
        uv.reshape(-1, 2),
        tangents if detail else None,
        Maps(color, orm, normal) if detail else Maps(color),
    )


def box_asset(levels: int = 1, hulls: int = 0, *, detail: bool = False) -> Asset:
    """The box, as many times as there are levels, and a tetrahedron as many times as there are hulls."""
    corners = np.array([(0, 0, 0), (0.1, 0, 0), (0, 0.4, 0), (0, 0, 0.3)])
    tetrahedron = Hull(corners, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
    return Asset("box", (box_body(detail=detail),) * levels, (tetrahedron,) * hulls)
