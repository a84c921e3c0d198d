"""Normals of a density, in two ways."""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d import RadianceField, Unsupported

_FLAT = 0.01  # change of density over a voxel, relative to it, that makes no normal
_THIN = 1e-12  # square of a density that is nothing at all


def finite_normals(field: RadianceField, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points 3"]:
    """Unit normals of the density, outwards: where it falls over a voxel, differentiable.

    Differences between the corners of a tetrahedron around each point give the gradient from four queries. Where they
    are under a hundredth of the density itself, as deep inside, the normal fades to 0: its direction is noise there.
    """
    corners = _tetrahedron(points.device, points.dtype)
    around = (points.T[:, None] + field.voxel_size * corners.T[:, :, None]).flatten(1)
    density = field.density(around.T).view(4, -1)
    return _unit(-(corners.T @ density).T, density.detach().sum(0))


def analytic_normals(field: RadianceField, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points 3"]:
    """Unit normals of the density, outwards: its gradient by automatic differentiation, differentiable itself.

    They fade to 0 where `finite_normals` do. Raises Unsupported for a field that cannot be differentiated by position.
    """
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        places = points.detach().requires_grad_()
        density = field.density(places)
        slope = None
        if density.requires_grad:
            (slope,) = torch.autograd.grad(density.sum(), places, create_graph=differentiable, allow_unused=True)
    if slope is None:
        raise Unsupported(
            f"the density of a {type(field).__name__} has no gradient by position",
            place="renderer.normals",
            remedy="set it to finite, or choose a representation that has one, such as hash_grid",
        )
    return _unit(-field.voxel_size * slope, density.detach())


NORMALS: dict[str, Callable[[RadianceField, Tensor], Tensor]] = {"finite": finite_normals, "analytic": analytic_normals}
"""What a recipe's `normals` says."""


@cache  # a copy to a device waits for it
def _tetrahedron(device: torch.device, dtype: torch.dtype) -> Float[Tensor, "4 3"]:
    return torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], device=device, dtype=dtype)


def _unit(falling: Float[Tensor, "points 3"], density: Float[Tensor, " points"]) -> Float[Tensor, "points 3"]:
    doubt = (_FLAT * density).square() + _THIN
    return falling / (falling.square().sum(1) + doubt).sqrt()[:, None]
