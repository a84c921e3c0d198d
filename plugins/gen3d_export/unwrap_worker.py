"""xatlas, as a process: charts of a mesh, packed into a square with room between them. Imports nothing of gen3d.

    python unwrap_worker.py IN.npz OUT.npz

IN: vertices, faces, size and padding in texels. OUT: which vertex each new vertex copies, faces over new vertices, uv.
"""

import sys

import numpy as np
import xatlas

ROUNDS = 6
"""Of packing, each a tenth of the time that the charts take."""

CLOSE = 0.97
"""Share of the square's side that is well used."""


def main(given: str, made: str) -> None:
    """Read, work, write."""
    with np.load(given) as arrays:
        vertices, faces = arrays["vertices"].astype(np.float32), arrays["faces"].astype(np.uint32)
        size, padding = int(arrays["size"]), int(arrays["padding"])
    source, indices, flat = charts(vertices, faces, size, padding)
    uv = packed(flat, indices, size, padding)
    np.savez(made, source=source, faces=indices, uv=uv)


def charts(
    vertices: np.ndarray, faces: np.ndarray, size: int, padding: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices split along seams, faces over them, and coordinates in texels that need not fit the square."""
    atlas = xatlas.Atlas()
    atlas.add_mesh(vertices, faces)
    chart = xatlas.ChartOptions()
    chart.max_iterations = 1
    atlas.generate(chart, _options(padding, resolution=size))
    if not atlas.width or not atlas.height:
        sys.exit("no charts")
    source, indices, uv = atlas[0]
    return source, indices, uv * np.array([atlas.width, atlas.height])


def packed(flat: np.ndarray, faces: np.ndarray, size: int, padding: int) -> np.ndarray:
    """Coordinates in [0, 1] at the largest scale found at which all charts fit with their padding.

    xatlas keeps the padding and exceeds the resolution that it is given; shrinking its picture would shrink the
    padding too. So the charts are packed again at smaller scales, until their square is the texture itself.
    """
    room, scale, best = size - padding, 1.0, None
    fitting, bursting = 0.0, np.inf
    for _ in range(ROUNDS):
        atlas = xatlas.Atlas()
        atlas.add_uv_mesh((flat * scale).astype(np.float32), faces)
        atlas.generate(xatlas.ChartOptions(), _options(padding, texels_per_unit=1.0))
        side = max(atlas.width, atlas.height)
        if side <= room:
            best, fitting = atlas[0][2] * np.array([atlas.width, atlas.height]), scale
            if side > CLOSE * room:
                break
        else:
            bursting = scale
        scale *= room / side
        if not fitting < scale < bursting:
            scale = (fitting + bursting) / 2
    if best is None:
        sys.exit("the charts do not fit with their padding")
    return (best + padding / 2) / size


def _options(padding: int, resolution: int = 0, texels_per_unit: float = 0.0) -> xatlas.PackOptions:
    pack = xatlas.PackOptions()
    pack.resolution, pack.texels_per_unit = resolution, texels_per_unit
    # xatlas puts it on each side of each chart, and another texel or two for bilinear lookups.
    pack.padding, pack.bilinear = padding // 2, True
    return pack


if __name__ == "__main__":
    main(*sys.argv[1:])
