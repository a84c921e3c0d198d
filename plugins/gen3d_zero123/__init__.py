"""Zero-1-to-3: a view-conditioned diffusion prior (Liu et al. 2023), and its small embedded relatives.

Loads the published networks with their stock classes, and trains small ones in the same folder layout.
"""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """The prior `zero123`."""
    registry.prior("zero123", "gen3d_zero123.prior:Zero123")
