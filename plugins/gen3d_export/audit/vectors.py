"""Normals and tangents at the vertices."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from gen3d_export.audit.report import Finding, judge
from gen3d_export.audit.scene import Piece, Scene

UNIT = 0.005
"""How far a length may be from 1 (the Khronos validator's own threshold)."""

ASTRAY = 0.01
"""Share of the surface on which vectors may disagree with the triangles: slivers, and the ends of spikes."""

SQUARE = 0.05
"""Cosine up to which a tangent is at a right angle to its normal."""

HIDDEN_TANGENTS = {".glb", ".gltf"}
"""Formats that hold tangents; for others the reader computes them."""


def check(scene: Scene) -> Iterator[Finding]:
    """Of all pieces together."""
    bare = sum(piece.normals is None for piece in scene.pieces)
    if bare:
        remedy = "export with normals: readers shade such a mesh flat"
        yield Finding("normals", "fail", f"absent in {bare} of {len(scene.pieces)} meshes", "all", remedy)
    else:
        yield _normals(scene.pieces)
    mapped = [p for p in scene.pieces if p.material and "normal" in p.material.pictures]
    if mapped and scene.path.suffix.lower() in HIDDEN_TANGENTS:
        yield _tangents(mapped)


def _normals(pieces: tuple[Piece, ...]) -> Finding:
    normals = np.concatenate([p.normals for p in pieces if p.normals is not None])
    error = float(np.abs(np.linalg.norm(normals, axis=1) - 1).max())
    astray = _share(pieces, [_back(p) for p in pieces])
    value = f"length within {error:.2g} of 1, {astray:.2%} of the surface away from its faces"
    remedy = "compute them anew, on the welded mesh"
    return judge("normals", error <= UNIT and astray <= ASTRAY, value, f"{UNIT:g}, {ASTRAY:.0%}", remedy)


def _back(piece: Piece) -> Float[np.ndarray, " faces"]:
    """The share of each face's corners whose normal points to its back."""
    assert piece.normals is not None
    across = np.cross(piece.corners[:, 1] - piece.corners[:, 0], piece.corners[:, 2] - piece.corners[:, 0])
    return ((piece.normals[piece.faces] * across[:, None]).sum(axis=-1) <= 0).mean(axis=1)


def _tangents(pieces: list[Piece]) -> Finding:
    remedy = "export with tangents (MikkTSpace): programs that make their own show other bumps"
    if any(p.tangents is None or p.uv is None or p.normals is None for p in pieces):
        return Finding("tangents", "fail", "absent", "with every normal map", remedy)
    found = [_tangent_errors(piece) for piece in pieces]
    length, tilt = max(errors[0] for errors in found), max(errors[1] for errors in found)
    astray = _share(tuple(pieces), [errors[2] for errors in found])
    value = f"length within {length:.2g} of 1, cosine to normals {tilt:.2g}, {astray:.2%} against the texture"
    good = length <= UNIT and tilt <= SQUARE and astray <= ASTRAY
    return judge("tangents", good, value, f"{UNIT:g}, {SQUARE:g}, {ASTRAY:.0%}", remedy)


def _tangent_errors(piece: Piece) -> tuple[float, float, Float[np.ndarray, " faces"]]:
    """Largest error of length or handedness, largest cosine to a normal, share of each face that is against its uv."""
    assert piece.tangents is not None
    assert piece.uv is not None
    assert piece.normals is not None
    ahead, hand = piece.tangents[:, :3], piece.tangents[:, 3]
    length = max(float(np.abs(np.linalg.norm(ahead, axis=1) - 1).max()), float(np.abs(np.abs(hand) - 1).max()))
    tilt = float(np.abs((ahead * piece.normals).sum(axis=1)).max())
    along_u, along_v = _gradients(piece.corners, piece.uv[piece.faces])
    aside = np.cross(piece.normals, ahead) * hand[:, None]
    wrong = (ahead[piece.faces] * along_u[:, None]).sum(axis=-1) < 0
    wrong |= (aside[piece.faces] * along_v[:, None]).sum(axis=-1) < 0
    return length, tilt, wrong.mean(axis=1)


def _gradients(
    corners: Float[np.ndarray, "faces 3 3"], uv: Float[np.ndarray, "faces 3 2"]
) -> tuple[Float[np.ndarray, "faces 3"], Float[np.ndarray, "faces 3"]]:
    """The directions in which u and v grow on each face, of any length; 0 where the face has no area in uv."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    (u1, v1), (u2, v2) = (uv[:, 1] - uv[:, 0]).T, (uv[:, 2] - uv[:, 0]).T
    turn = np.sign(u1 * v2 - u2 * v1)[:, None]
    return (first * v2[:, None] - second * v1[:, None]) * turn, (second * u1[:, None] - first * u2[:, None]) * turn


def _share(pieces: tuple[Piece, ...] | list[Piece], faces: list[Float[np.ndarray, " faces"]]) -> float:
    """The mean of values of faces over the surface."""
    areas = [
        np.linalg.norm(np.cross(p.corners[:, 1] - p.corners[:, 0], p.corners[:, 2] - p.corners[:, 0]), axis=1)
        for p in pieces
    ]
    weights = np.concatenate(areas)
    return float((np.concatenate(faces) * weights).sum() / max(float(weights.sum()), 1e-30))
