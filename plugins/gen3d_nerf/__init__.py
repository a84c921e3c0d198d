"""A hash-grid radiance field (NeRF) of colours or latents: Triton or tinycudann where they work, else plain PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gen3d import Registrar, hookimpl

if TYPE_CHECKING:
    import torch


@hookimpl
def register_components(registry: Registrar) -> None:
    """Offer the representation `hash_grid`."""
    registry.representation("hash_grid", "gen3d_nerf.hash_grid:HashGrid")


@hookimpl
def describe_backends(device: torch.device) -> dict[str, str]:
    """Who looks up in the table."""
    from gen3d_nerf.backends import report

    return {"hash_grid": report(device)}
