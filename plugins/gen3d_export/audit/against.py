"""What got lost between a run's object and a file: pictures of both from the same cameras."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from jaxtyping import Float, Int

from gen3d.build import build_component, parameters
from gen3d.cameras import Cameras
from gen3d.config import override
from gen3d.inputs import Inputs
from gen3d.part import Stage
from gen3d.plugins import installed
from gen3d.renderer import Renderer
from gen3d.representation import Representation, Surface
from gen3d.stage import defaults
from gen3d.stored import Stored
from gen3d_export.audit.limits import Limits
from gen3d_export.audit.registration import aligned
from gen3d_export.audit.report import Finding, judge
from gen3d_export.audit.scene import Scene
from gen3d_export.audit.trace import SUPERSAMPLE, Model, averaged, of_scene, pictures
from gen3d_export.game_mesh import GameMesh, radiance_field
from gen3d_export.paint import PARTS, Paint, Samples
from gen3d_export.unwrap import smooth_normals

SIZE = 128
"""Pixels along a side of the pictures."""

AZIMUTHS, ELEVATIONS_DEG = 8, (-20.0, 10.0, 45.0)
RADIUS, FOV_DEG = 2.0, 40.0


def compare(scene: Scene, run: Path, limits: Limits) -> tuple[Finding, dict[str, Any]]:
    """PSNR of the file's pictures, and of the dense mesh's, against those of the run's own renderer.

    All are unlit, over white, and antialiased alike. Raises BadInput where the run cannot be used.
    """
    stored, cameras = Stored.newest(run), around(SIZE)
    representation = stored.load()
    truth = field_pictures(stored, representation, cameras)
    mesh, paint, _ = exporter(stored).original(representation)
    vertices = aligned(scene.positions, np.asarray(mesh.vertices), smooth_normals(mesh))
    dense, asset = (
        psnr(pictures(model, cameras), truth) for model in (unbaked(mesh, paint), of_scene(scene, vertices))
    )
    value = f"{asset:.2f} dB from {len(cameras)} cameras, {asset - dense:+.2f} to the dense mesh's {dense:.2f} dB"
    figures = {"psnr": round(asset, 3), "psnr_dense": round(dense, 3), "psnr_lost": round(dense - asset, 3)}
    if limits.decibels is None:
        return Finding("render", "pass", value), figures
    limit, remedy = f"at least -{limits.decibels:g} dB", "export with more triangles or a larger texture"
    return judge("render", dense - asset <= limits.decibels, value, limit, remedy), figures


def around(size: int) -> Cameras:
    """The cameras: three rings around the object."""
    azimuth = (torch.arange(AZIMUTHS) + 0.5) * (2 * math.pi / AZIMUTHS)
    elevation = torch.tensor(ELEVATIONS_DEG).deg2rad()
    grid = torch.meshgrid(elevation, azimuth, indexing="ij")
    return Cameras.orbit(grid[1].flatten(), grid[0].flatten(), RADIUS, math.radians(FOV_DEG), size)


@torch.no_grad()
def field_pictures(
    stored: Stored, representation: Representation, cameras: Cameras
) -> Float[np.ndarray, "views height width 3"]:
    """The object as its own renderer shows it. Raises Unsupported where it holds latents."""
    radiance_field(representation) if not isinstance(representation, Surface) else None
    stage, fine = _stage(stored, representation), cameras.resized(cameras.height * SUPERSAMPLE)
    step, none = stage.step(stage.steps - 1), frozenset[str]()
    stage.renderer.at(step)
    views = [stage.renderer(representation, fine[i], step, none).color.double().cpu() for i in range(len(fine))]
    return averaged(torch.cat(views).numpy())


def _stage(stored: Stored, representation: Representation) -> Stage:
    """The stage with its renderer over white, where that can be asked for."""
    registry, config = installed().registry, stored.recipe.stages[stored.stage]
    config = config.merged(defaults(config))
    spec = config.values["renderer"]
    name = spec if isinstance(spec, str) else spec["type"]
    if "background" in parameters(registry.component("renderer", name).load()):
        white = {"background": "white"} | ({"type": name} if isinstance(spec, str) else {})
        config = config.merged(override(("renderer",), white))
    renderer: Renderer = build_component("renderer", config, ("renderer",), registry)
    steps, seed = int(config.values["steps"]), int(stored.recipe.get("seed", 0))
    stage = Stage(stored.stage, steps, seed, torch.device("cpu"), Inputs(), None, representation, renderer, {})
    renderer.bind(stage)
    return stage


def exporter(stored: Stored) -> GameMesh:
    """The recipe's own, for its threshold and resolution; one like it, where the recipe has another."""
    recipe = stored.recipe
    own = (
        build_component("exporter", recipe.config, ("export",), installed().registry) if recipe.get("export") else None
    )
    return own if isinstance(own, GameMesh) else GameMesh()


def unbaked(mesh: trimesh.Trimesh, paint: Paint) -> Model:
    """The dense mesh, each point of which asks for its own colour: no texture, no decimation."""
    target = paint.target(mesh)
    spacing = float(np.ptp(target.vertices, axis=0).max()) / SIZE

    def shade(faces: Int[np.ndarray, " hits"], weights: Float[np.ndarray, "hits 3"]) -> Float[np.ndarray, "hits 3"]:
        each = np.repeat(np.arange(len(faces)), PARTS)
        samples = Samples(each, np.tile(np.arange(PARTS), len(faces)), spacing)
        look = paint.look(target.hits(faces[each], weights[each]), samples)
        return np.asarray(look.colors.reshape(-1, PARTS, 3).mean(axis=1))

    return Model(target.vertices, target.faces, shade)


def psnr(images: Float[np.ndarray, "views height width 3"], truth: Float[np.ndarray, "views height width 3"]) -> float:
    """In dB, of values in [0, 1]: the mean over the views."""
    errors = np.square(images - truth).mean(axis=(1, 2, 3))
    return float((-10 * np.log10(errors.clip(1e-12))).mean())
