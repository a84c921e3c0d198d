"""The voxel field under the volume renderer, against numbers of the published SJC and Zero-1-to-3 codes."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gen3d import Cameras, Stage, Views
from gen3d.background import Screen, Texture
from gen3d_volume.volume import Volume
from gen3d_voxel.voxel import Voxel

Bind = Callable[..., tuple[Volume, Stage]]
GOLDEN = Path(__file__).parents[1] / "golden" / "sjc_zero123" / "voxnerf.npz"
CAMERAS = ["cam0", "cam1", "cam2"]
BACKGROUNDS = ["sjc", "zero123"]
# Five times the error of the stored numbers, as the collection of numbers advises for float32.
WEIGHTS, DEPTH, LATENTS, DENSITY, COLOR, SCALE, TEXTURE = (
    5 * e for e in (6e-7, 5e-6, 1.5e-6, 1.5e-6, 2.2e-6, 1e-5, 3e-6)
)


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    with np.load(GOLDEN, allow_pickle=False) as file:
        return {name: torch.from_numpy(np.asarray(file[name])) for name in file.files}


@pytest.fixture
def field(published: dict[str, Tensor]) -> Voxel:
    return Voxel(20, "latent", box=1.0, density_shift=float(published["density_shift"]))


def drawn(published: dict[str, Tensor], field: Voxel, bind: Bind, camera: str, background: str) -> tuple[Volume, Views]:
    """The published field and background from a published camera, without any skipping, in several chunks."""
    renderer, stage = bind(field, background="texture", skip_below=0.0, stop_at=0.0, chunk=100)
    fill(field, published)
    assert isinstance(renderer.backdrop.behind, Texture)
    if background == "zero123":
        renderer.backdrop.behind = Screen(published["white_map"])
    else:
        renderer.backdrop.behind.texture.data.copy_(published["bg_texture"][0])
    return renderer, renderer(field, cameras_of(published, camera), stage.step(0), frozenset({"samples"}))


def fill(field: Voxel, published: dict[str, Tensor]) -> None:
    """The published grids count z, y, x."""
    field.raw_density.copy_(published["density"][0, 0].permute(2, 1, 0))
    field.raw_color.copy_(published["color"][0].permute(0, 3, 2, 1))
    field.scale.data.copy_(published["d_scale"])


def cameras_of(published: dict[str, Tensor], camera: str) -> Cameras:
    eye, up, fov = (published[f"{camera}_{name}"] for name in ("eye", "up", "fov_deg"))
    return Cameras.look_at(eye[None], math.radians(float(fov)), len(published[f"{camera}_depth"]), up=up[None])


def zyx(gradient: Tensor | None) -> Tensor:
    """A gradient in the published order of axes, without the halo."""
    assert gradient is not None
    return gradient[:, 1:-1, 1:-1, 1:-1].permute(0, 3, 2, 1)[None]


def close(ours: Tensor | None, theirs: Tensor, error: float) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=error)


@pytest.mark.parametrize("camera", CAMERAS)
def test_rays(published: dict[str, Tensor], camera: str) -> None:
    origins, directions = cameras_of(published, camera).rays()
    close(origins.reshape(-1, 3), published[f"{camera}_rays_o"], 4e-14)
    close(directions.reshape(-1, 3), published[f"{camera}_rays_d"], 4e-14)


@pytest.mark.parametrize("camera", CAMERAS)
def test_weights_and_depth(published: dict[str, Tensor], field: Voxel, bind: Bind, camera: str) -> None:
    _, views = drawn(published, field, bind, camera, "sjc")
    samples, weights = views.samples, published[f"{camera}_weights"]
    assert samples is not None
    assert (samples.slots, samples.ray_count) == tuple(weights.shape)
    start = published[f"{camera}_t_min"][samples.rays]
    number = ((samples.distances - start) / published[f"{camera}_step_size"]).round().long()
    ours = torch.zeros_like(weights).index_put((number, samples.rays), samples.weights)
    close(ours, weights, WEIGHTS)
    close(views.depth[0, ..., 0], published[f"{camera}_depth"], DEPTH)
    close((1 - views.alpha).flatten(), published[f"{camera}_bg_weight"], WEIGHTS)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("camera", CAMERAS)
def test_latents_and_their_gradient(
    published: dict[str, Tensor], field: Voxel, bind: Bind, camera: str, background: str
) -> None:
    renderer, views = drawn(published, field, bind, camera, background)
    latents = views.image.permute(0, 3, 1, 2)
    close(latents, published[f"{camera}_{background}_latents"], LATENTS)
    (latents * published[f"{camera}_grad_latents"]).sum().backward()
    close(zyx(field.density_grid.grad), published[f"{camera}_{background}_grad_density"], DENSITY)
    close(zyx(field.color_grid.grad), published[f"{camera}_grad_color"], COLOR)
    close(field.scale.grad, published[f"{camera}_{background}_grad_d_scale"], SCALE)
    if isinstance(renderer.backdrop.behind, Texture):
        close(renderer.backdrop.behind.texture.grad, published[f"{camera}_sjc_grad_bg_texture"][0], TEXTURE)


@pytest.mark.parametrize("camera", CAMERAS)
def test_gradient_of_depth(published: dict[str, Tensor], field: Voxel, bind: Bind, camera: str) -> None:
    _, views = drawn(published, field, bind, camera, "sjc")
    (views.depth[0, ..., 0] * published[f"{camera}_grad_depth"]).sum().backward()
    close(zyx(field.density_grid.grad), published[f"{camera}_depth_grad_density"], DENSITY)
    close(field.scale.grad, published[f"{camera}_depth_grad_d_scale"], 2 * SCALE)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("camera", CAMERAS)
def test_backgrounds(published: dict[str, Tensor], camera: str, background: str) -> None:
    cameras = cameras_of(published, camera)
    shown = Screen(published["white_map"]) if background == "zero123" else Texture(published["bg_texture"][0], "latent")
    picture = shown(cameras, cameras.rays()[1].float())
    close(picture.reshape(-1, 4), published[f"{camera}_{background}_background"], LATENTS)


def test_skipping_changes_no_more_than_its_thresholds_allow(
    published: dict[str, Tensor], field: Voxel, bind: Bind
) -> None:
    renderer, stage = bind(field, background="texture")
    fill(field, published)
    views = renderer(field, cameras_of(published, "cam0"), stage.step(0), frozenset())
    close(views.depth[0, ..., 0], published["cam0_depth"], 1e-4 * 10)


def test_every_stage_has_a_texture_of_its_own_seed(field: Voxel, bind: Bind) -> None:
    (one, stage), (same, _) = bind(field, background="texture"), bind(field, background="texture")
    stage.seed = 5
    (texture,) = one.param_groups()["background"]
    assert texture.shape == (4, 4, 4)
    assert torch.equal(texture, same.param_groups()["background"][0])
    before = texture.detach().clone()
    one.bind(stage)
    assert not torch.equal(before, one.param_groups()["background"][0])
