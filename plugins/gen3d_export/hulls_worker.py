"""CoACD, as a process: convex pieces of a mesh. Imports nothing of gen3d.

    python hulls_worker.py IN.npz OUT.npz

IN: vertices, faces, count. OUT: vertices_0, vertices_1, ...
"""

import sys

import coacd
import numpy as np

CORNERS = 64
"""Vertices of a piece, at most; it has less than twice as many triangles."""

SEARCH = {"mcts_iterations": 20, "mcts_nodes": 10, "mcts_max_depth": 2, "resolution": 500}
"""A quarter of the time that CoACD takes by default, for hulls with 4 % more volume on a bumpy ball."""


def main(given: str, made: str) -> None:
    """Read, work, write."""
    with np.load(given) as arrays:
        mesh, count = coacd.Mesh(arrays["vertices"], arrays["faces"]), int(arrays["count"])
    coacd.set_log_level("error")
    pieces = coacd.run_coacd(mesh, max_convex_hull=count, decimate=True, max_ch_vertex=CORNERS, seed=0, **SEARCH)
    np.savez(made, **{f"vertices_{index}": vertices for index, (vertices, _) in enumerate(pieces)})


if __name__ == "__main__":
    main(*sys.argv[1:])
