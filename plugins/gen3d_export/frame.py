"""From our frame to that of the files: the only place that knows both."""

import numpy as np
from jaxtyping import Float


def to_gltf(vectors: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """(x, y, z) -> (y, z, x), for positions and directions.

    Ours has +Z up and the pictured side on +X; glTF (2.0, section 3.4) has +Y up and the front on +Z. A cyclic change
    of axes keeps handedness, hence winding. Scale and origin stay the field's own.
    """
    return vectors[..., [1, 2, 0]]
