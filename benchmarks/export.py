"""Time, memory and loss of an export: a sharp, textured field of 256^3 voxels as an asset for games.

python benchmarks/export.py                    20,000 triangles, 1024 texels, 3 levels of detail, hulls
python benchmarks/export.py --preset hero      what a preset asks for
python benchmarks/export.py --only-time        without the pictures that the loss is measured on
"""

import resource
import tempfile
import time
from pathlib import Path

import click
import torch

from gen3d import Cameras, Stage
from gen3d_export.audit.against import around, psnr, unbaked
from gen3d_export.audit.read import read
from gen3d_export.audit.registration import aligned
from gen3d_export.audit.trace import SUPERSAMPLE, averaged, of_scene, pictures
from gen3d_export.game_mesh import GameMesh
from gen3d_export.unwrap import smooth_normals
from gen3d_volume.volume import Volume
from gen3d_voxel.voxel import Voxel

DENSE = 400.0


def shape(resolution: int) -> Voxel:
    """A knobbly ring around a ball, in stripes: handles, thin places and colour edges."""
    field = Voxel(resolution, channels="rgb", box=0.55)
    line = (torch.arange(resolution) + 0.5) / resolution * 1.1 - 0.55
    x, y, z = torch.meshgrid(line, line, line, indexing="ij")
    angle = torch.atan2(y, x)
    around_ring = ((x.square() + y.square()).sqrt() - 0.36).square() + (z - 0.06 * torch.sin(3 * angle)).square()
    ring = around_ring.sqrt() - 0.09 - 0.015 * torch.sin(11 * angle) * torch.cos(9 * z)
    ball = (x.square() + y.square() + z.square()).sqrt() - 0.2 - 0.01 * torch.sin(25 * x) * torch.sin(25 * z)
    distance = torch.minimum(ring, ball)
    field.raw_density.copy_(DENSE * (-distance / field.voxel_size).clamp(-1, 1))
    stripes = (torch.sin(18 * angle + 30 * z) > 0).float()
    for channel, value in zip(field.raw_color, (stripes, 0.5 + x, 0.5 + torch.sin(20 * z) / 2), strict=True):
        channel.copy_(torch.logit(value.clamp(0.05, 0.95)))
    return field


def loss(field: Voxel, exporter: GameMesh, file: Path) -> tuple[float, float]:
    """PSNR against the field's own pictures, of the file and of the dense mesh without textures."""
    renderer, cameras = Volume(background="white"), around(128)
    stage = Stage("benchmark", 1, 0, torch.device("cpu"), None, None, field, renderer, {})  # type: ignore[arg-type]
    renderer.bind(stage)
    fine: Cameras = cameras.resized(cameras.height * SUPERSAMPLE)
    step = stage.step(0)
    renderer.at(step)
    with torch.no_grad():
        drawn = [renderer(field, fine[i], step, frozenset()).color.double() for i in range(len(fine))]
    truth = averaged(torch.cat(drawn).numpy())
    scene, (mesh, paint, _) = read(file), exporter.original(field)
    vertices = aligned(scene.positions, mesh.vertices, smooth_normals(mesh))
    asset, dense = (psnr(pictures(m, cameras), truth) for m in (of_scene(scene, vertices), unbaked(mesh, paint)))
    return asset, dense


@click.command()
@click.option("--resolution", default=256, show_default=True, help="Voxels along a side of the field.")
@click.option("--preset", help="mobile, prop, hero or film, in place of 20,000 triangles and 1024 texels.")
@click.option("--lods", default=3, show_default=True)
@click.option("--collision", default="convex:8", show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--only-time", is_flag=True, help="Leave out the loss.")
def main(resolution: int, preset: str | None, lods: int, collision: str, threads: int, *, only_time: bool) -> None:
    """Export the field, and say what that took and what it lost."""
    torch.set_num_threads(threads)
    with torch.no_grad():
        field = shape(resolution)
    exporter = GameMesh(preset=preset, lods=lods, collision=collision, resolution=resolution)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic(), sum(_cpu())
        paths = exporter.export(field, Path(folder))
        seconds, cpu = time.monotonic() - began[0], sum(_cpu()) - began[1]
        print(f"{resolution}^3 to {len(paths)} files: {seconds:.1f} s by the clock, {cpu:.1f} s of processors")
        print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at the peak")
        if not only_time:
            asset, dense = loss(field, exporter, paths[0])
            print(f"{asset:.2f} dB to the field's pictures; the dense mesh {dense:.2f} dB: {dense - asset:.2f} dB lost")


def _cpu() -> tuple[float, float]:
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime, others.ru_utime + others.ru_stime


if __name__ == "__main__":
    main()
