"""A volume renderer for radiance fields in plain PyTorch, for which empty space and hidden parts cost nothing."""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """Offer the renderer `volume`."""
    registry.renderer("volume", "gen3d_volume.volume:Volume")
