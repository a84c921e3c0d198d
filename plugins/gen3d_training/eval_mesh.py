"""A mesh against the true one: Chamfer distance, IoU and F-score, with the protocol that makes them comparable."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import trimesh
from jaxtyping import Float

from gen3d_training.metrics import f_score, iou, nearest, occupancy
from gen3d_training.model import load_model

RESOLUTION = 64
NORMALIZATION = {
    "cube": "each mesh by itself: bounding box centred, longest side 1",
    "none": "none: coordinates as in the files",
}


def eval_mesh(
    pred: Path,
    gt: Path,
    normalize: Literal["none", "cube"] = "cube",
    points: int = 10_000,
    threshold: float = 0.02,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two mesh files.

    Args:
        pred: the mesh to be judged.
        gt: the true one.
        normalize: whether each is first fitted into the unit cube.
        points: samples of each surface, uniform over its area.
        threshold: distance within which a point counts for the F-score, as a share of the true mesh's longest side.
        seed: draws the samples.

    Returns:
        `chamfer`, `iou`, `f_score`, whether each mesh is `closed`, and the `protocol`.

    Raises:
        BadInput: a file that holds no mesh.
    """
    meshes = [load_model(path, normalize=normalize == "cube").mesh for path in (pred, gt)]
    limit = threshold * float(meshes[1].extents.max())
    there, back = nearest(*(_samples(mesh, points, seed) for mesh in meshes))
    lower, side = _cube(meshes)
    volumes = [occupancy(mesh, lower, side, RESOLUTION) for mesh in meshes]
    closed = [bool(_welded(mesh).is_watertight) for mesh in meshes]
    return {
        "chamfer": float(there.mean() + back.mean()) / 2,
        "iou": iou(*volumes),
        "f_score": f_score(there, back, limit),
        "closed": {"pred": closed[0], "gt": closed[1]},
        "protocol": {
            "files": f"{pred} against {gt}",
            "normalisation": NORMALIZATION[normalize],
            "alignment": "none",
            "chamfer": "(mean nearest distance pred to gt + gt to pred) / 2, Euclidean",
            "f_score": f"threshold {limit:.4g}, {threshold:g} of the true mesh's longest side",
            "points": f"{points} a surface, uniform by area, seed {seed}",
            "iou": f"centres of {RESOLUTION}^3 cells around both, inside by winding number, majority of 3 axes",
        },
    }


def _samples(mesh: trimesh.Trimesh, count: int, seed: int) -> Float[np.ndarray, "points 3"]:
    return np.asarray(trimesh.sample.sample_surface(mesh, count, seed=seed)[0])


def _cube(meshes: list[trimesh.Trimesh]) -> tuple[Float[np.ndarray, " 3"], float]:
    """Lower corner and side of the cube around the bounding box of all."""
    lower = np.min([mesh.bounds[0] for mesh in meshes], axis=0)
    upper = np.max([mesh.bounds[1] for mesh in meshes], axis=0)
    side = float((upper - lower).max())
    return (lower + upper - side) / 2, side


def _welded(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh without the seams that texture coordinates and normals cut."""
    welded = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    welded.merge_vertices(digits_vertex=6)
    return welded
