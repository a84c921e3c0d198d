"""A volume renderer for radiance fields, for which empty space and hidden parts cost nothing; Triton where it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gen3d import Registrar, hookimpl

if TYPE_CHECKING:
    import torch


@hookimpl
def register_components(registry: Registrar) -> None:
    """Offer the renderer `volume`."""
    registry.renderer("volume", "gen3d_volume.volume:Volume")


@hookimpl
def describe_backends(device: torch.device) -> dict[str, str]:
    """Who composites."""
    from gen3d_volume.backends import report

    return {"volume": report(device)}
