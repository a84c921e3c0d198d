"""Game-ready files: the exporter `game_mesh` turns a field or a surface into a textured mesh as GLB, OBJ or PLY.

Each step is a function of its own: `surface` extracts, cleans and decimates, `unwrap` makes charts, `raster` and `bake`
fill the texture with the colours of a `paint`, `files` writes. Only `frame` knows how our axes become those of glTF.
"""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """`game_mesh`."""
    registry.exporter("game_mesh", "gen3d_export.game_mesh:GameMesh")
