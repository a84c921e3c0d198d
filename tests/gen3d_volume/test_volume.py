import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d import BadInput, Cameras, Renderer, Stage, Step, Views
from gen3d.cameras import concatenate
from gen3d.testing import ToyField, toy_cameras
from gen3d_volume.volume import Volume
from gen3d_voxel.voxel import Voxel

Bind = Callable[..., tuple[Volume, Stage]]
ALL = frozenset({"normal", "samples"})


class Counted(ToyField):
    """Counts the points that it is asked about."""

    def __init__(self, *args: float) -> None:
        super().__init__(*args)
        self.asked = 0

    def density(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, " points"]:
        self.asked += len(points)
        return super().density(points)

    def features(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points channels"]:
        self.asked += len(points)
        return super().features(points)


def solid(resolution: int = 32, channels: str = "rgb") -> Voxel:
    """Two opaque coloured boxes with nothing between, one behind the other from most sides."""
    field = Voxel(resolution, channels, box=0.6)
    field.raw_density.fill_(-30)
    field.raw_density[6:14, 8:24, 10:20] = 80
    field.raw_density[20:27, 12:20, 6:26] = 40
    field.raw_color.normal_(generator=torch.Generator().manual_seed(0))
    return field


def gradients(renderer: Volume, field: Voxel, cameras: Cameras, step: Step) -> tuple[Views, list[Tensor]]:
    views = renderer(field, cameras, step, ALL)
    generator = torch.Generator().manual_seed(1)
    loss = sum(
        (value * torch.randn(value.shape, generator=generator)).sum()
        for value in (views.image, views.depth / 10, views.normal)
    )
    return views, list(torch.autograd.grad(loss, [field.density_grid, field.color_grid, field.scale]))


def test_is_a_renderer_that_offers_everything() -> None:
    assert issubclass(Volume, Renderer)
    assert {"image", "alpha", "depth", "normal", "samples"} == Volume.offers


def test_pictures_and_gradients_with_skipping_equal_the_dense_ones(bind: Bind) -> None:
    field, cameras = solid(), toy_cameras(3, 24)
    skipping, stage = bind(field)
    dense, _ = bind(field, skip_below=0.0, stop_at=0.0)
    field.load_state_dict(solid().state_dict())
    (ours, ours_by), (theirs, theirs_by) = (gradients(r, field, cameras, stage.step(0)) for r in (skipping, dense))
    assert len(ours.samples.rays) < 0.2 * len(theirs.samples.rays)
    for name in ("image", "alpha", "normal"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=0, atol=2e-4)
    torch.testing.assert_close(ours.depth, theirs.depth, rtol=0, atol=2e-3)  # 10 units of background depth
    for one, other in zip(ours_by, theirs_by, strict=True):
        assert (one - other).norm() < 1e-3 * other.norm()


def test_a_homogeneous_box_is_the_closed_form(bind: Bind) -> None:
    """Density s over a chord c: alpha = 1 - exp(-s c), to a step; the depth follows the exponential's mean."""
    field = Voxel(20, "rgb", box=0.5, density_shift=-1.0)
    renderer, stage = bind(field, background=[0.0, 0.25, 1.0], background_depth=5.0, step_ratio=0.02)
    field.density_grid.data.fill_(3)  # the halo too: constant up to the faces
    camera = Cameras.orbit(0.0, 0.0, 2.0, 1e-3, 1)
    views = renderer(field, camera, stage.step(0), frozenset())
    s = math.log1p(math.exp(2.0))
    alpha = 1 - math.exp(-s)
    depth = sum((1.5 + t) * s * math.exp(-s * t) * 1e-3 for t in (1e-3 * (i + 0.5) for i in range(1000)))
    assert views.alpha.item() == pytest.approx(alpha, rel=1e-3)
    assert views.depth.item() == pytest.approx(depth + (1 - alpha) * 5, rel=1e-3)
    expected = [0.5 * alpha + (1 - alpha) * color for color in (0.0, 0.25, 1.0)]
    assert views.image.flatten().tolist() == pytest.approx(expected, rel=1e-3)


def test_a_ball_has_the_silhouette_depth_and_normals_of_a_ball(bind: Bind) -> None:
    field, cameras = ToyField(radius=0.3), toy_cameras(2, 33)
    renderer, stage = bind(field, step_ratio=0.1)
    views = renderer(field, cameras, stage.step(0), ALL)
    middle = views.depth[:, 16, 16, 0]
    torch.testing.assert_close(middle, torch.full((2,), 1.4 - 0.3), rtol=0, atol=0.03)
    origins, directions = cameras.rays()
    closest = torch.linalg.cross(origins, directions).norm(dim=-1)
    assert (views.alpha[..., 0][closest < 0.25] > 0.99).all()
    assert (views.alpha[..., 0][closest > 0.48] < 0.01).all()
    surface = origins + views.depth * directions
    outwards = torch.nn.functional.normalize(surface, dim=-1)
    agreement = torch.cosine_similarity(outwards, views.normal, dim=-1)[closest < 0.2]
    assert (agreement > 0.97).all()


def test_samples_are_what_the_picture_was_composited_from(bind: Bind) -> None:
    field, cameras = ToyField(radius=0.3), toy_cameras(2, 8)
    renderer, stage = bind(field, background="black", background_depth=0.0)
    views = renderer(field, cameras, stage.step(0), ALL)
    samples = views.samples
    assert samples.ray_count == 2 * 8 * 8

    def composited(values: Tensor) -> Tensor:
        return torch.zeros(samples.ray_count).index_add(0, samples.rays, samples.weights * values)

    torch.testing.assert_close(composited(torch.ones_like(samples.weights)), views.alpha.flatten(), rtol=0, atol=1e-5)
    torch.testing.assert_close(composited(samples.distances), views.depth.flatten(), rtol=0, atol=1e-5)
    for axis in range(3):
        torch.testing.assert_close(
            composited(samples.normals[:, axis]), views.normal[..., axis].flatten(), rtol=0, atol=1e-5
        )
    torch.testing.assert_close(samples.directions, cameras.rays()[1].reshape(-1, 3)[samples.rays])
    lengths = samples.normals.norm(dim=-1)[samples.weights > 1e-2]
    torch.testing.assert_close(lengths, torch.ones_like(lengths), rtol=0, atol=0.02)


def test_normals_and_samples_only_where_asked(bind: Bind) -> None:
    renderer, stage = bind(field := ToyField())
    plain = renderer(field, toy_cameras(), stage.step(0), frozenset())
    assert plain.normal is None
    assert plain.samples is None
    samples = renderer(field, toy_cameras(), stage.step(0), frozenset({"samples"})).samples
    assert samples is not None
    assert samples.normals is None


def test_chunks_of_rays_do_not_show(bind: Bind) -> None:
    field, cameras = solid(), toy_cameras(2, 12)
    (whole, stage), (chunked, _) = bind(field), bind(field, chunk=50)
    field.load_state_dict(solid().state_dict())
    one, other = (renderer(field, cameras, stage.step(0), ALL) for renderer in (whole, chunked))
    for name in ("image", "alpha", "depth", "normal"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=1e-6)
    assert torch.equal(one.samples.rays, other.samples.rays)
    assert (one.samples.ray_count, one.samples.slots) == (other.samples.ray_count, other.samples.slots)


def test_views_of_a_batch_are_those_of_each_camera(bind: Bind) -> None:
    field, (one, other) = ToyField(), (toy_cameras(1, 10), Cameras.orbit(2.0, 0.5, 0.9, 1.0, 10))
    renderer, stage = bind(field)
    both = renderer(field, concatenate([one, other]), stage.step(0), frozenset())
    for index, camera in enumerate((one, other)):
        alone = renderer(field, camera, stage.step(0), frozenset())
        torch.testing.assert_close(both.image[index], alone.image[0], rtol=0, atol=1e-6)


def test_a_picture_need_not_be_square(bind: Bind) -> None:
    renderer, stage = bind(field := ToyField())
    camera = toy_cameras(1, 8).resized(6, 14)
    assert renderer(field, camera, stage.step(0), frozenset()).image.shape == (1, 6, 14, 3)


def test_an_empty_field_is_the_background_and_is_not_asked(bind: Bind) -> None:
    field = Counted(-1.0)
    renderer, stage = bind(field, background=[0.1, 0.2, 0.3])
    renderer(field, toy_cameras(), stage.step(0), ALL)
    field.asked = 0
    views = renderer(field, toy_cameras(), stage.step(1), ALL)
    assert field.asked == 0
    torch.testing.assert_close(views.image, torch.tensor([0.1, 0.2, 0.3]).expand_as(views.image))
    assert not views.alpha.any()
    assert not views.normal.any()
    assert (views.depth == 10).all()


def test_empty_space_around_an_object_is_not_asked_about(bind: Bind) -> None:
    field = Counted(0.1)
    renderer, stage = bind(field)
    renderer(field, toy_cameras(1, 32), stage.step(0), frozenset())
    field.asked = 0
    views = renderer(field, toy_cameras(1, 32), stage.step(1), frozenset({"samples"}))
    assert 0 < field.asked < 0.25 * views.samples.slots * 32 * 32


class TestRefreshing:
    def test_every_so_many_steps_while_training(self, bind: Bind) -> None:
        field = Counted(0.2)
        renderer, stage = bind(field, refresh_every=4)

        def looked(index: int) -> bool:
            renderer.at(stage.step(index))
            field.asked = 0
            renderer(field, toy_cameras(1, 2), stage.step(index), frozenset())
            return field.asked > 20**3

        assert [looked(index) for index in range(6)] == [True, False, False, False, True, False]

    def test_whenever_the_field_has_changed_without_gradients(self, bind: Bind) -> None:
        field, cameras = ToyField(radius=0.1), toy_cameras(1, 16)
        renderer, stage = bind(field)
        with torch.no_grad():
            small = renderer(field, cameras, stage.step(0), frozenset()).alpha.sum()
            field.radius.fill_(0.4)
            large = renderer(field, cameras, stage.step(0), frozenset()).alpha.sum()
        assert large > 3 * small

    def test_looking_does_not_change_training(self, bind: Bind) -> None:
        field, cameras = ToyField(radius=0.1), toy_cameras(1, 16)
        renderer, stage = bind(field)
        renderer(field, cameras, stage.step(0), frozenset())
        before = {name: tensor.clone() for name, tensor in renderer.trained_state().items()}
        with torch.no_grad():
            field.radius.fill_(0.4)
            renderer(field, cameras, stage.step(1), frozenset())
        assert before.keys() == {"occupancy.floor", "occupancy.near", "occupancy.bounds", "due"}
        assert all(torch.equal(before[name], tensor) for name, tensor in renderer.trained_state().items())

    def test_a_checkpoint_holds_it(self, bind: Bind) -> None:
        field, cameras = ToyField(radius=0.1), toy_cameras(1, 16)
        renderer, stage = bind(field)
        renderer(field, cameras, stage.step(0), frozenset())
        resumed, _ = bind(field)
        resumed.load_trained_state(renderer.trained_state())
        for one in (renderer, resumed):
            one.at(stage.step(3))
        with torch.no_grad():
            field.radius.fill_(0.4)  # grown past what either has looked at
        pictures = [one(field, cameras, stage.step(3), frozenset()).image for one in (renderer, resumed)]
        assert torch.equal(*pictures)


def test_a_coarse_occupancy_draws_the_same(bind: Bind) -> None:
    field, cameras = ToyField(), toy_cameras(1, 16)
    (fine, stage), (coarse, _) = bind(field), bind(field, occupancy=5)
    assert coarse.occupancy.shape == (5, 5, 5)
    one, other = (renderer(field, cameras, stage.step(0), frozenset()).image for renderer in (fine, coarse))
    torch.testing.assert_close(one, other, rtol=0, atol=2e-3)


@pytest.mark.parametrize("key", ["step_ratio", "refresh_every", "chunk", "occupancy"])
def test_sizes_are_more_than_nothing(key: str) -> None:
    with pytest.raises(BadInput, match=key):
        Volume(**{key: 0})


def test_cameras_in_float64_draw_the_same(bind: Bind) -> None:
    renderer, stage = bind(field := ToyField())
    single = toy_cameras(1, 8)
    double = replace(single, c2w=single.c2w.double(), fov=single.fov.double())
    images = [renderer(field, cameras, stage.step(0), frozenset()).image for cameras in (single, double)]
    assert images[1].dtype == torch.float32
    torch.testing.assert_close(*images, rtol=0, atol=1e-4)
