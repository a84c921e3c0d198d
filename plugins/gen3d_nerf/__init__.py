"""A hash-grid radiance field (NeRF) of colours or latents: tinycudann where it is installed, else plain PyTorch."""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """Offer the representation `hash_grid`."""
    registry.representation("hash_grid", "gen3d_nerf.hash_grid:HashGrid")
