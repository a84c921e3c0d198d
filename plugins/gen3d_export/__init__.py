"""Game-ready files: the exporter `game_mesh` turns a field, a surface or another program's mesh into what engines take.

`assemble` is the pipeline, each step of it a function of its own: a dense mesh (`surface`, `source_surface`, `repair`),
its budget (`decimate`), charts (`unwrap`), pictures (`bake`, asking a `paint`), the files' frame (`frame`) and convex
pieces (`hulls`). `formats` writes the result, `sources` reads what other programs made, and `audit` checks files.
"""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """`game_mesh`."""
    registry.exporter("game_mesh", "gen3d_export.game_mesh:GameMesh")
