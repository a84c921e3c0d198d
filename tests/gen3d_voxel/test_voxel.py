import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import softplus

from gen3d import BadInput, RadianceField, Representation, Stage, Unsupported
from gen3d.testing import ToyField, toy_stage
from gen3d_voxel.voxel import Voxel


def bound(seed: int = 0, **keys: Any) -> Voxel:
    field = Voxel(**{"resolution": 6, **keys})
    field.bind(stage_of(field, seed))
    return field


def stage_of(field: Representation, seed: int = 0) -> Stage:
    return replace(toy_stage({}), representation=field, seed=seed)


def centers(field: Voxel) -> torch.Tensor:
    """Of all voxels, in the order of the grid."""
    axis = (torch.arange(field.resolution) + 0.5) * field.voxel_size - field.box[1, 0]
    return torch.cartesian_prod(axis, axis, axis)


def test_is_a_radiance_field() -> None:
    field = bound(box=0.6)
    assert isinstance(field, RadianceField)
    assert field.voxel_size == pytest.approx(0.2)
    torch.testing.assert_close(field.box, torch.tensor([[-0.6] * 3, [0.6] * 3]))


@pytest.mark.parametrize(("channels", "space", "count"), [("rgb", "rgb", 3), ("latent", "latent", 4), (7, "latent", 7)])
def test_channels_and_their_space(channels: Any, space: str, count: int) -> None:
    field = bound(channels=channels)
    assert (field.space, field.channels) == (space, count)
    assert field.features(torch.zeros(2, 3)).shape == (2, count)


def test_density_in_voxel_centres_is_the_formula() -> None:
    field = bound(density_shift=-0.5)
    with torch.no_grad():
        field.scale.fill_(0.3)
        field.raw_density.normal_(generator=torch.Generator().manual_seed(0))
    expected = softplus(math.exp(0.3) * field.raw_density.flatten() - 0.5)
    torch.testing.assert_close(field.density(centers(field)), expected, rtol=1e-5, atol=1e-6)


def test_axes_are_x_y_z() -> None:
    field = bound(channels="rgb")
    field.raw_density[5, 0, 2] = 9
    field.raw_color[1, 5, 0, 2] = 9
    point = torch.tensor([[1 - 1 / 6, -1 + 1 / 6, -1 / 6]])
    assert field.density(point).item() == pytest.approx(softplus(torch.tensor(8.0)).item(), rel=1e-5)
    assert field.features(point)[0].tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-9)), 0.5], rel=1e-4)


def test_outside_the_box_is_nothing_and_on_its_face_half() -> None:
    field = bound()
    field.raw_density.fill_(4)
    face = field.density(torch.tensor([[1.0, 0, 0], [-1.0, 0.2, 0], [0, 0, 1.0]]))
    torch.testing.assert_close(face, softplus(torch.tensor([1.0] * 3)))  # 4 / 2 - 1
    assert not field.density(torch.tensor([[1.01, 0, 0], [0, -1.1, 0], [0, 0, 50.0]])).any()


def test_starts_with_nothing_or_with_a_blob() -> None:
    assert not bound().raw_density.any()
    field = bound(blob_density=10.0, blob_radius=0.5, resolution=40)
    points = centers(field)
    expected = softplus(10 * (1 - points.norm(dim=1) / 0.5) - 1)
    torch.testing.assert_close(field.density(points), expected, rtol=1e-4, atol=1e-6)


def test_colours_start_grey_and_latents_as_noise_of_the_seed() -> None:
    grey = bound(channels="rgb").features(torch.rand(50, 3, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(grey, torch.full_like(grey, 0.5))
    field, same, other = (bound(resolution=20, seed=seed) for seed in (0, 0, 1))
    assert field.raw_color.mean().abs() < 0.02
    assert field.raw_color.std().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(field.raw_color, same.raw_color)
    assert not torch.equal(field.raw_color, other.raw_color)


def test_param_groups_are_all_that_is_trained() -> None:
    field = bound()
    groups = field.param_groups()
    assert set(groups) == {"density", "scale", "color"}
    assert {id(p) for group in groups.values() for p in group} == {id(p) for p in field.parameters()}


def test_checkpoint_round_trip() -> None:
    field, other = bound(channels="rgb", blob_density=5.0), bound(channels="rgb")
    points = torch.rand(30, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    assert not torch.equal(field.density(points), other.density(points))
    other.load_trained_state(field.trained_state())
    assert torch.equal(field.density(points), other.density(points))


@pytest.mark.parametrize("key", ["resolution", "channels", "box"])
def test_sizes_are_more_than_nothing(key: str) -> None:
    with pytest.raises(BadInput, match=key):
        Voxel(**{key: 0})


class TestInitialiseFrom:
    def test_the_same_grid_is_exact(self) -> None:
        field, other = bound(seed=3), bound()
        with torch.no_grad():
            field.scale.fill_(0.4)
            field.raw_density.normal_(generator=torch.Generator().manual_seed(0))
        other.initialise_from(field)
        points = 2 * torch.rand(200, 3, generator=torch.Generator().manual_seed(1)) - 1
        torch.testing.assert_close(other.density(points), field.density(points), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(other.features(points), field.features(points), rtol=1e-4, atol=1e-5)

    def test_colours_after_latents_keep_the_density_and_start_grey(self) -> None:
        field, other = bound(blob_density=8.0, resolution=16), bound(channels="rgb", resolution=16, density_shift=-3.0)
        other.initialise_from(field)
        inside = 1.6 * torch.rand(200, 3, generator=torch.Generator().manual_seed(1)) - 0.8
        torch.testing.assert_close(other.density(inside), field.density(inside), rtol=1e-3, atol=1e-4)
        assert (other.features(inside) == 0.5).all()

    def test_a_finer_grid_agrees_in_its_voxel_centres(self) -> None:
        field = bound(blob_density=8.0, resolution=8)
        other = bound(resolution=20, box=0.8)
        other.initialise_from(field)
        points = centers(other)
        torch.testing.assert_close(other.density(points), field.density(points), rtol=1e-4, atol=1e-5)

    def test_any_radiance_field_is_sampled(self) -> None:
        toy = ToyField(radius=0.4, color=(0.8, 0.3, 0.1))
        field = bound(channels="rgb", box=0.5, resolution=20)
        field.initialise_from(toy)
        points = centers(field)
        expected = toy.density(points)
        torch.testing.assert_close(field.density(points), expected.clamp_min(1e-6), rtol=1e-3, atol=1e-5)
        assert expected.max() > 30
        torch.testing.assert_close(field.features(points), toy.features(points), atol=1e-4, rtol=0)

    def test_what_has_no_density_is_refused(self) -> None:
        class Other(Representation):
            pass

        with pytest.raises(Unsupported, match="Other"):
            bound().initialise_from(Other())
