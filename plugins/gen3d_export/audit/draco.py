"""Meshes that KHR_draco_mesh_compression holds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gen3d.errors import Unavailable

DRACO = "KHR_draco_mesh_compression"


def decompressed(
    primitive: dict[str, Any], view: Callable[[int], bytes], path: Path
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Values by the names of a primitive's attributes, and the corners of its triangles.

    Raises Unavailable where DracoPy is not installed.
    """
    try:
        import DracoPy
    except ImportError as error:
        cause, remedy = "is compressed with Draco, and DracoPy is not installed", "pip install 'gen3d[draco]'"
        raise Unavailable(cause, place=str(path), remedy=remedy) from error
    entry = primitive["extensions"][DRACO]
    mesh = DracoPy.decode(view(entry["bufferView"]))
    values = {key: mesh.get_attribute_by_unique_id(number)["data"] for key, number in entry["attributes"].items()}
    return {key: np.asarray(value, dtype=np.float32) for key, value in values.items()}, np.asarray(mesh.faces).ravel()
