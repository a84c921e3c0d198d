"""What one would guess of an object without having learnt anything."""

import mcubes
import numpy as np
import trimesh
from jaxtyping import Float

THICKNESS = 0.8
"""Depth of an extruded silhouette over the shorter side of its bounding box."""


def sphere() -> trimesh.Trimesh:
    """A ball of diameter 1 at the origin."""
    return trimesh.creation.icosphere(subdivisions=4, radius=0.5)


def extruded(alpha: Float[np.ndarray, "height width"], c2w: Float[np.ndarray, "3 3"]) -> trimesh.Trimesh:
    """The silhouette extruded along the viewing direction, its edges where alpha is one half.

    Args:
        alpha: coverage, in [0, 1]; somewhere above one half.
        c2w: rotation of the camera, columns right, up, backward; the result is turned by it. Unit: pixels.
    """
    padded = np.pad(alpha, 1)
    vertices, faces = mcubes.marching_cubes(np.stack([padded * 0, padded, padded, padded * 0], axis=-1), 0.5)
    local = vertices[:, [1, 0, 2]] * [1, -1, 1]  # rows count downwards
    width, height, depth = np.ptp(local, axis=0)
    local[:, 2] *= THICKNESS * min(width, height) / depth
    mesh = trimesh.Trimesh(local @ c2w.T, faces, process=False)
    if mesh.volume < 0:
        mesh.invert()
    return mesh
