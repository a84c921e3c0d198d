"""What is known about an asset, for people, pipelines and `gen3d check`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import trimesh

from gen3d_export.asset import Asset, Body, Hull


def figures(asset: Asset, files: list[str], hulls: Mapping[str, Hull]) -> dict[str, Any]:
    """Measured on the asset as it is written: metres, +Y up, the front on +Z.

    Args:
        asset: what is written.
        files: the main file of each level.
        hulls: by the names of their nodes.
    """
    levels = [{"file": file} | _level(body) for file, body in zip(files, asset.levels, strict=True)]
    places = asset.levels[0].vertices
    bounds = [_rounded(places.min(axis=0)), _rounded(places.max(axis=0))]
    size = _rounded(np.ptp(places, axis=0))
    where = {"name": asset.name, "units": "m", "up": "+Y", "front": "+Z", "size": size, "bounds": bounds}
    return {**levels[0], **where, "levels": levels, "hulls": [_hull(name, hull) for name, hull in hulls.items()]}


def _level(body: Body) -> dict[str, Any]:
    maps = {"base_color": body.maps.base_color, "orm": body.maps.orm, "normal": body.maps.normal}
    return {
        "triangles": len(body.faces),
        "vertices": len(body.vertices),
        "watertight": _watertight(body),
        "texture": len(body.maps.base_color),
        "textures": {name: len(picture) for name, picture in maps.items() if picture is not None},
        "texels_per_metre": round(texel_density(body), 1),
    }


def texel_density(body: Body) -> float:
    """Texels to a metre of the surface, on average: what decides how close a camera may come."""
    places, charts = body.vertices[body.faces], body.uv[body.faces]
    surface = np.linalg.norm(np.cross(places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]), axis=1).sum()
    covered = np.abs(np.linalg.det(charts[:, 1:] - charts[:, :1])).sum()
    return float(len(body.maps.base_color) * np.sqrt(covered / surface))


def _watertight(body: Body) -> bool:
    """Whether it is closed, apart from the seams of the texture."""
    _, welded = np.unique(body.vertices, axis=0, return_inverse=True)
    faces = welded.ravel()[body.faces]
    return bool(trimesh.Trimesh(np.zeros((faces.max() + 1, 3)), faces, process=False).is_watertight)


def _hull(name: str, hull: Hull) -> dict[str, Any]:
    low, high = hull.vertices.min(axis=0), hull.vertices.max(axis=0)
    counts = {"vertices": len(hull.vertices), "triangles": len(hull.faces)}
    return {"name": name, **counts, "bounds": [_rounded(low), _rounded(high)]}


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]
