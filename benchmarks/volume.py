"""Time of volume rendering, forward and backward, by each backend, beside dense sampling with `grid_sample`.

python benchmarks/volume.py                  a barrel made here
python benchmarks/volume.py barrel.glb       any mesh
python benchmarks/volume.py --device cuda --resolution 256 --size 512
"""

import math
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
import trimesh
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (PyTorch's own habit)

from gen3d import Cameras, Stage, Unavailable
from gen3d.testing.timing import median_ms
from gen3d_volume.backends import Backend
from gen3d_volume.volume import Volume
from gen3d_voxel.voxel import Voxel

OPAQUE = 500.0  # density inside, per world unit: 5 in a step through 100 voxels over 2 units
BACKENDS: tuple[Backend, ...] = ("triton", "nerfacc", "torch")
POINTS = 200  # on the surface, for each square voxel of a side of the grid


def barrel() -> trimesh.Trimesh:
    """Wooden staves with two iron hoops, closed at both ends."""
    heights = np.linspace(-0.5, 0.5, 33)
    radii = 0.36 - 0.4 * heights**2
    profile = np.stack([np.r_[0, radii, 0], np.r_[-0.5, heights, 0.5]], axis=1)
    mesh = trimesh.creation.revolve(profile, sections=48)
    hoop = np.abs(np.abs(mesh.triangles_center[:, 2]) - 0.25) < 0.05  # noqa: PLR2004
    stave = (np.arctan2(*mesh.triangles_center[:, :2].T) * 12 / math.pi).astype(int) % 2
    wood = np.array([[139, 90, 43, 255], [160, 108, 56, 255]])[stave]
    mesh.visual.face_colors = np.where(hoop[:, None], [90, 90, 96, 255], wood)
    return mesh


def upright(scene: trimesh.Scene) -> trimesh.Scene:
    """From +Y up, as files have it, to +Z up."""
    scene.apply_transform(np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]))
    return scene


def surface(scene: trimesh.Scene, count: int) -> tuple[np.ndarray, np.ndarray]:
    """About `count` points on a mesh whose longest side becomes 1, and their colours in [0, 1]."""
    meshes = [mesh for mesh in scene.dump() if isinstance(mesh, trimesh.Trimesh)]
    for mesh in meshes:
        if mesh.visual.kind == "texture":
            mesh.visual = mesh.visual.to_color()
    total = sum(mesh.area for mesh in meshes)
    drawn = [
        trimesh.sample.sample_surface(mesh, math.ceil(count * mesh.area / total), sample_color=True, seed=0)
        for mesh in meshes
    ]
    points = np.concatenate([points for points, _, _ in drawn])
    colors = np.concatenate([np.asarray(colors)[:, :3] for _, _, colors in drawn]) / 255
    low, high = points.min(0), points.max(0)
    return (points - (low + high) / 2) / (high - low).max(), colors


def voxelised(scene: trimesh.Scene, resolution: int, box: float) -> Voxel:
    """The solid in a voxel field: opaque, each voxel with the colour of the surface nearest to it."""
    points, colors = surface(scene, POINTS * resolution**2)
    index = tuple(((points + box) / (2 * box) * resolution).astype(int).clip(0, resolution - 1).T)
    count = np.zeros((resolution,) * 3)
    color = np.zeros((3, *count.shape))
    np.add.at(count, index, 1)
    for channel in range(3):
        np.add.at(color[channel], index, colors[:, channel])
    nearest = ndimage.distance_transform_edt(count == 0, return_distances=False, return_indices=True)
    color = (color / count.clip(1))[:, *nearest].clip(0.01, 0.99)
    solid = ndimage.binary_fill_holes(count > 0)
    field = Voxel(resolution, "rgb", box)
    field.raw_density.copy_(torch.where(torch.from_numpy(solid), OPAQUE, -OPAQUE))
    field.raw_color.copy_(torch.from_numpy(color).logit())
    return field


def dense(field: Voxel, cameras: Cameras, step: float) -> Callable[[], tuple[Tensor, Tensor]]:
    """The same picture from every sample that lies in the box, with one `grid_sample` of density and colour."""
    inside = torch.cat([field.raw_density[None], field.raw_color]).transpose(1, 3).contiguous()
    grid = inside[None].requires_grad_()
    origins, directions = (rays.flatten(0, 2) for rays in cameras.rays())
    low, high = ((corner - origins) / directions for corner in field.box)
    enter = torch.minimum(low, high).amax(1).clamp_min(0)
    leave = torch.maximum(low, high).amin(1)
    slots = int((leave - enter).amax() / step) + 1
    along = step * torch.arange(slots, device=origins.device)
    counts = along < (leave - enter)[:, None]

    def draw() -> tuple[Tensor, Tensor]:
        points = origins[:, None] + (enter[:, None] + along)[..., None] * directions[:, None]
        places = points[counts].view(1, 1, 1, -1, 3) / field.half_side
        raw = F.grid_sample(grid, places, align_corners=False).view(4, -1)
        depth = raw.new_zeros(counts.shape).masked_scatter(counts, F.softplus(raw[0] + field.density_shift) * step)
        weight = torch.exp(depth - depth.cumsum(1)) * -torch.expm1(-depth)
        color = raw.new_zeros(3, *counts.shape).masked_scatter(counts, raw[1:].sigmoid())
        return (weight * color).sum(2).T + (1 - weight.sum(1, keepdim=True)), grid

    return draw


def drawing(field: Voxel, cameras: Cameras, backend: Backend, device: torch.device) -> Callable[[], Tensor]:
    """What draws the field by a backend. Raises Unavailable where that is not here."""
    renderer = Volume(backend=backend)
    stage = Stage("benchmark", 1, 0, device, None, None, field, renderer, {})  # type: ignore[arg-type]
    renderer.bind(stage)
    return lambda: renderer(field, cameras, stage.step(0), frozenset()).image.view(-1, 3)


@click.command()
@click.argument("mesh", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--device", default="cpu", show_default=True)
@click.option("--resolution", default=100, show_default=True, help="Voxels along a side.")
@click.option(
    "--box", default=1.0, show_default=True, help="Half the side of the grid; the object's longest side is 1."
)
@click.option("--size", default=64, show_default=True, help="Rays along a side of the picture.")
@click.option("--threads", default=2, show_default=True)
@click.option("--repeats", default=9, show_default=True)
def main(mesh: Path | None, device: str, resolution: int, box: float, size: int, threads: int, repeats: int) -> None:
    """Compare the renderer `volume` with dense sampling on a voxelised mesh."""
    torch.set_num_threads(threads)
    scene, at = upright(trimesh.load_scene(mesh)) if mesh else trimesh.Scene(barrel()), torch.device(device)
    field = voxelised(scene, resolution, box).to(at)
    cameras = Cameras.orbit(math.radians(30), math.radians(20), 1.6, math.radians(49.1), size).to(at)
    every = dense(field, cameras, Volume().step_ratio * field.voxel_size)
    target = torch.rand(size * size, 3, generator=torch.Generator().manual_seed(0)).to(at)

    def dense_pass() -> None:
        image, grid = every()
        grid.grad = None
        (image - target).square().sum().backward()

    slow = median_ms(dense_pass, at, repeats)
    name = mesh.name if mesh else "a generated barrel"
    print(f"{name} in {resolution}^3 voxels over [{-box}, {box}]^3; {size}x{size} rays; {device}, {threads} threads")
    print(f"dense grid_sample   {slow:8.1f} ms   forward and backward, median of {repeats}")
    for backend in BACKENDS:
        try:
            draw = drawing(field, cameras, backend, at)
        except Unavailable:
            continue

        def packed(draw: Callable[[], Tensor] = draw) -> None:
            field.zero_grad(set_to_none=True)
            (draw() - target).square().sum().backward()

        difference = (draw() - every()[0]).abs().max().item()
        fast = median_ms(packed, at, repeats)
        name = f"volume, {backend}"
        print(f"{name:19} {fast:8.1f} ms   {slow / fast:.1f} times faster; pictures differ by {difference:.1e}")


if __name__ == "__main__":
    main()
