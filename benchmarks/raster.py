"""Time and memory of the renderer `raster` and of the surface it draws, forward and backward.

python benchmarks/raster.py                              a ball of about 10,000 triangles in a lattice of 29
python benchmarks/raster.py --resolution 128 --size 512  what published recipes draw
"""

import math
import resource

import click
import torch

from gen3d import Cameras, Stage
from gen3d.testing.timing import median_ms
from gen3d_mesh.laplacian import unevenness
from gen3d_mesh.normal_consistency import between_vertices
from gen3d_mesh.raster import Raster
from gen3d_mesh.tetrahedra import Tetrahedra


@click.command()
@click.option("--resolution", default=29, show_default=True, help="Cubes along a side of the lattice.")
@click.option("--size", default=64, show_default=True, help="Pixels along a side of the picture.")
@click.option("--views", default=1, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--repeats", default=9, show_default=True)
@click.option("--device", default="cpu", show_default=True)
def main(resolution: int, size: int, views: int, threads: int, repeats: int, device: str) -> None:
    """Measure each part of a step on a ball."""
    torch.set_num_threads(threads)
    surface, renderer, place = (
        Tetrahedra(resolution).to(device),
        Raster(backend="torch").to(device),
        torch.device(device),
    )
    stage = Stage("benchmark", 1, 0, place, None, None, surface, renderer, {})  # type: ignore[arg-type]
    surface.bind(stage)
    renderer.bind(stage)
    angles = math.radians(30) + torch.arange(views) * 2 * math.pi / views
    cameras = Cameras.orbit(angles, math.radians(20), 1.6, math.radians(49.1), size).to(place)
    weights = torch.rand(views, size, size, 3, generator=torch.Generator().manual_seed(0)).to(place)

    def extract() -> None:
        surface._found = None  # noqa: SLF001 (to look the topology up again)
        surface.triangles().vertices.sum().backward()

    def draw() -> torch.Tensor:
        drawn = renderer(surface, cameras, stage.step(0), frozenset({"normal"}))
        assert drawn.normal is not None
        return ((drawn.image + drawn.normal + drawn.alpha) * weights).sum()

    def see() -> None:
        with torch.no_grad():
            draw()

    def smooth() -> None:
        mesh = surface.triangles()
        (between_vertices(mesh) + unevenness(mesh)).backward()

    rows = {
        "surface": (extract, "extraction, forward and backward"),
        "picture": (see, "forward"),
        "raster": (lambda: draw().backward(), "forward and backward, with normals"),
        "terms": (smooth, "normal consistency and Laplacian, forward and backward"),
    }
    count = len(surface.triangles().faces)
    print(f"{count} triangles in {resolution}^3 cubes; {views} x {size}x{size} pixels; {device}, {threads} threads")
    for name, (work, meaning) in rows.items():
        print(f"{name:8} {median_ms(work, place, repeats):8.1f} ms   {meaning}, median of {repeats}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory   {memory:8.0f} MiB  of the process at its peak")


if __name__ == "__main__":
    main()
