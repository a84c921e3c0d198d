"""Stable Diffusion 1.x, 2.x and XL: text-conditioned diffusion priors (Rombach et al. 2022), and small relatives.

Loads the published networks with their stock classes, and trains small ones in the same folder layout.
"""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """The prior `stable_diffusion`."""
    registry.prior("stable_diffusion", "gen3d_stable_diffusion.prior:StableDiffusion")
