"""Meshes that are optimised: a surface in a lattice of tetrahedra, a rasteriser in plain PyTorch, terms of shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gen3d import Registrar, hookimpl

if TYPE_CHECKING:
    import torch


@hookimpl
def register_components(registry: Registrar) -> None:
    """Offer the representation `tetrahedra`, the renderer `raster`, and two regularizers of triangles."""
    registry.representation("tetrahedra", "gen3d_mesh.tetrahedra:Tetrahedra")
    registry.renderer("raster", "gen3d_mesh.raster:Raster")
    registry.guidance("normal_consistency", "gen3d_mesh.normal_consistency:NormalConsistency")
    registry.guidance("laplacian", "gen3d_mesh.laplacian:Laplacian")


@hookimpl
def describe_backends(device: torch.device) -> dict[str, str]:
    """Who finds the face that each pixel sees."""
    from gen3d_mesh.backends import report

    return {"raster": report(device)}
