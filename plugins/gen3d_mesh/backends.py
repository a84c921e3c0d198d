"""Who finds the face that each pixel sees: plain PyTorch, or PyTorch3D where it is installed."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from gen3d.errors import Unavailable
from gen3d_mesh.screen import Screen, nearest_faces

Backend = Callable[[Screen], Int[Tensor, " pixels"]]


def choose(name: Literal["auto", "torch", "pytorch3d"]) -> Backend:
    """The backend of that name. Raises Unavailable where it is not installed."""
    if name == "torch" or (name == "auto" and find_spec("pytorch3d") is None):
        return nearest_faces
    if find_spec("pytorch3d") is None:
        remedy = "leave renderer.backend out: plain torch does it"
        raise Unavailable("pytorch3d is not installed", place="renderer.backend", remedy=remedy)
    return with_pytorch3d if name == "pytorch3d" else _where_it_is_faster


def report(device: torch.device) -> str:
    """Who does it on a device if the recipe does not say, and why."""
    if device.type != "cuda":
        return f"torch: pytorch3d is for CUDA, and the device is {device.type}"
    installed = find_spec("pytorch3d") is not None
    return "pytorch3d: is installed" if installed else "torch: pytorch3d is not installed"


def _where_it_is_faster(screen: Screen) -> Int[Tensor, " pixels"]:
    return with_pytorch3d(screen) if screen.places.is_cuda else nearest_faces(screen)


@torch.no_grad()
def with_pytorch3d(screen: Screen) -> Int[Tensor, " pixels"]:
    """As `nearest_faces`, by PyTorch3D.

    Its pictures have +X to the left, +Y upwards, and a shorter side from -1 to 1; z is the distance. Each view gets the
    faces that show their outer side, and the answer counts through those of all views.
    """
    if not screen.front.any():
        return torch.full((screen.pixels,), -1, device=screen.front.device)
    structures, rasterizer = _pytorch3d()
    size = torch.tensor([screen.width, screen.height]).to(screen.places)
    unit = 2 / min(screen.width, screen.height)
    places = torch.cat([(size / 2 - screen.places[..., :2]) * unit, screen.places[..., 2:]], dim=-1)
    shown = [front.nonzero().squeeze(1) for front in screen.front]
    meshes = structures.Meshes(verts=list(places), faces=[screen.faces[faces] for faces in shown])
    found, *_ = rasterizer.rasterize_meshes(
        meshes, image_size=(screen.height, screen.width), blur_radius=0.0, faces_per_pixel=1, perspective_correct=True
    )
    numbers = torch.cat([faces + view * len(screen.faces) for view, faces in enumerate(shown)])
    flat: Tensor = found.flatten()
    return torch.where(flat >= 0, numbers[flat.clamp_min(0)], -1)


def _pytorch3d() -> tuple[Any, Any]:
    import pytorch3d.renderer.mesh.rasterize_meshes as rasterizer
    from pytorch3d import structures

    return structures, rasterizer
