"""Game-ready files: the exporter `game_mesh` turns a radiance field into a textured mesh as GLB, OBJ or PLY.

Each stage is a function of its own: `grid` samples the density, `threshold` finds the level that cameras see as the
surface, `surface` extracts, cleans and decimates it, `unwrap` charts it, `raster` and `bake` fill the texture, `files`
writes. Only `frame` knows how our axes become those of glTF.
"""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """`game_mesh`."""
    registry.exporter("game_mesh", "gen3d_export.game_mesh:GameMesh")
