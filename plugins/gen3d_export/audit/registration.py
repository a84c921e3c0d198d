"""Where a file's coordinates lie in the frame of the object that it was made from."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from gen3d_export.frame import from_gltf

ROUNDS = 20
POINTS = 5000


def aligned(
    positions: Float[np.ndarray, "vertices 3"],
    vertices: Float[np.ndarray, "dense 3"],
    normals: Float[np.ndarray, "dense 3"],
) -> Float[np.ndarray, "vertices 3"]:
    """A file's positions, its pivot and scale undone: its axes are known, the rest is fitted to the dense surface.

    First the bounding boxes are laid over one another. Decimation changes those, so then the distances to the tangent
    planes of the nearest dense vertices are minimised over scale and translation (Chen and Medioni 1992). What a wrong
    turn or another shape would need is not fitted, and shows in the pictures.
    """
    moved = from_gltf(positions)
    scale = np.linalg.norm(np.ptp(vertices, axis=0)) / np.linalg.norm(np.ptp(moved, axis=0))
    moved = (moved - _middle(moved)) * scale + _middle(vertices)
    tree, sample = cKDTree(vertices), slice(None, None, max(1, len(moved) // POINTS))
    for _ in range(ROUNDS):
        middle = _middle(moved)
        arms = moved[sample] - middle
        _, nearest = tree.query(moved[sample])
        across = normals[nearest]
        gaps = ((vertices[nearest] - moved[sample]) * across).sum(axis=1)
        rows = np.column_stack([(arms * across).sum(axis=1), across])
        growth, *shift = np.linalg.lstsq(rows, gaps, rcond=None)[0]
        moved = (moved - middle) * (1 + growth) + middle + shift
    return moved


def _middle(points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "3"]:
    return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2)
