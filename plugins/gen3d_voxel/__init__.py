"""A radiance field on a dense voxel grid, of colours or latents (Wang et al. 2022, Score Jacobian Chaining)."""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """Offer the representation `voxel`."""
    registry.representation("voxel", "gen3d_voxel.voxel:Voxel")
