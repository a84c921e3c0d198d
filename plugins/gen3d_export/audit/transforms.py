"""Where nodes put their meshes."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from gen3d_export.audit.scene import Piece


def matrix(node: dict[str, Any]) -> Float[np.ndarray, "4 4"]:
    """A glTF node's transform: its matrix, or its translation after its rotation after its scale."""
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    result = np.eye(4)
    result[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    result[:3, :3] *= np.array(node.get("scale", (1.0, 1.0, 1.0)))
    result[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return result


def moved(piece: Piece, world: Float[np.ndarray, "4 4"]) -> Piece:
    """The piece under a transform; a reflection turns its faces round (glTF 2.0, section 3.7.4)."""
    if np.array_equal(world, np.eye(4)):
        return piece
    linear, faces, normals, tangents = world[:3, :3], piece.faces, piece.normals, piece.tangents
    if normals is not None:
        normals = normals @ np.linalg.inv(linear)
        normals = normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
    if tangents is not None:
        ahead = tangents[:, :3] @ linear.T
        ahead = ahead / np.linalg.norm(ahead, axis=1, keepdims=True).clip(1e-12)
        tangents = np.concatenate([ahead, tangents[:, 3:]], axis=1)
    if np.linalg.det(linear) < 0:
        faces = faces[:, ::-1]
    positions = piece.positions @ linear.T + world[:3, 3]
    return replace(piece, positions=positions, faces=faces, normals=normals, tangents=tangents)
