import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gen3d import BadInput, Cameras, RadianceField, Representation, Schedule, Stage, Unsupported
from gen3d.describe import describe
from gen3d.plugins import installed
from gen3d.testing import ToyField, toy_cameras, toy_stage
from gen3d_export.surface import extract_mesh
from gen3d_nerf import fit
from gen3d_nerf.hash_grid import HashGrid
from gen3d_volume.normals import analytic_normals, finite_normals
from gen3d_volume.volume import Volume
from plain_surface import PlainSurface, square

SMALL = {"levels": 6, "table_log2": 10, "coarsest": 4, "finest": 64, "width": 16}


def bound(seed: int = 0, **keys: Any) -> HashGrid:
    field = HashGrid(**{**SMALL, **keys})
    field.bind(stage_of(field, seed))
    return field


def stage_of(field: Representation, seed: int = 0, **keys: Any) -> Stage:
    return replace(toy_stage({}), representation=field, seed=seed, **keys)


def points(count: int = 200, half_side: float = 1.0) -> Tensor:
    return half_side * (2 * torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) - 1)


def disturb(field: HashGrid) -> HashGrid:
    """Entries as large as trained ones."""
    with torch.no_grad():
        field.encoding.table.normal_(std=0.3, generator=torch.Generator().manual_seed(7))
    return field


def test_is_a_radiance_field() -> None:
    field = bound(box=0.6)
    assert isinstance(field, RadianceField)
    assert field.voxel_size == pytest.approx(1.2 / 128)
    assert bound(voxel_size=0.02).voxel_size == 0.02
    torch.testing.assert_close(field.box, torch.tensor([[-0.6] * 3, [0.6] * 3]))


def test_the_published_size() -> None:
    field = HashGrid()
    assert [level.scale for level in field.encoding.levels][::15] == [15, pytest.approx(2047)]
    assert field.encoding.width == 32
    assert len(field.encoding.table) == pytest.approx(6.1e6, rel=0.02)
    assert [tuple(weight.shape) for weight in field.color_network.weights] == [(64, 32), (3, 64)]


@pytest.mark.parametrize(("channels", "space", "count"), [("rgb", "rgb", 3), ("latent", "latent", 4), (7, "latent", 7)])
def test_channels_and_their_space(channels: Any, space: str, count: int) -> None:
    field = disturb(bound(channels=channels))
    assert (field.space, field.channels) == (space, count)
    values = field.features(points())
    assert values.shape == (200, count)
    assert bool((values >= 0).all() and (values <= 1).all()) == (space == "rgb")


def test_starts_with_a_blob_in_grey() -> None:
    field = bound(density_shift=0.5)
    expected = softplus(10 * (1 - points().norm(dim=1) / 0.5) + 0.5)
    torch.testing.assert_close(field.density(points()), expected, rtol=1e-2, atol=1e-6)
    torch.testing.assert_close(field.features(points()), torch.full((200, 3), 0.5), rtol=0, atol=1e-3)
    nothing = bound(blob_density=0.0, density_shift=-3.0).density(points())
    torch.testing.assert_close(nothing, softplus(torch.full((200,), -3.0)), rtol=1e-2, atol=0)


def test_exponential_density_stops_growing_and_can_fall_again() -> None:
    field = bound(activation="exp", blob_density=0.0)
    at = points(5)
    torch.testing.assert_close(field.density(at), torch.ones(5), rtol=1e-2, atol=0)
    field.density_shift = 50.0
    density = field.density(at)
    torch.testing.assert_close(density, torch.full((5,), math.exp(15)), rtol=1e-3, atol=0)
    assert torch.autograd.grad(density.sum(), field.encoding.table)[0].any()


def test_outside_the_box_is_nothing() -> None:
    field = bound(box=0.5, blob_density=0.0, density_shift=3.0)
    assert (field.density(torch.tensor([[0.5, 0, 0], [-0.5, 0.2, 0], [0, 0, 0.5]])) > 1).all()
    assert not field.density(torch.tensor([[0.501, 0, 0], [0, -0.6, 0], [0, 0, 50.0]])).any()


def test_particles_of_other_seeds_differ() -> None:
    one, same, other = (bound(seed=seed).encoding.table for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_levels_follow_their_schedule() -> None:
    field = HashGrid(**SMALL, active_levels=Schedule.of({"ramp": {0: 2, 8: 6}}))
    stage = stage_of(field)
    field.bind(stage)
    seen = [field.encoding.active]
    for index in (0, 3, 9):
        field.at(stage.step(index))
        seen.append(field.encoding.active)
    assert seen == [2, 2, 3.5, 6]


def test_param_groups_are_all_that_is_trained() -> None:
    groups = bound(layers=2).param_groups()
    assert {name: len(group) for name, group in groups.items()} == {"encoding": 1, "density": 3, "color": 3}
    linear = bound(layers=0)
    assert [tuple(p.shape) for p in linear.param_groups()["color"]] == [(3, 12)]
    assert {id(p) for group in linear.param_groups().values() for p in group} == {id(p) for p in linear.parameters()}


def test_checkpoint_round_trip() -> None:
    field, other = disturb(bound()), bound(seed=1)
    assert not torch.equal(field.density(points()), other.density(points()))
    other.load_trained_state(field.trained_state())
    assert torch.equal(field.density(points()), other.density(points()))
    assert torch.equal(field.features(points()), other.features(points()))


@pytest.mark.parametrize(
    ("key", "value"),
    [("channels", 0), ("box", 0.0), ("levels", 0), ("coarsest", 1), ("finest", 3), ("table_log2", 30), ("layers", -1)],
)
def test_what_cannot_be_is_refused(key: str, value: float) -> None:
    with pytest.raises(BadInput, match=f"{key} is|finest {value}|layers {value}"):
        HashGrid(**{**SMALL, key: value})


class TestInitialiseFrom:
    def test_a_hash_grid_with_the_same_levels(self) -> None:
        field, other, latent = disturb(bound()), bound(seed=1), bound(channels="latent")
        before = latent.features(points())
        for one in (other, latent):
            one.initialise_from(field)
            assert torch.equal(one.density(points()), field.density(points()))
        assert torch.equal(other.features(points()), field.features(points()))
        assert latent.features(points()).shape == before.shape

    @pytest.mark.parametrize("keys", [{"finest": 32, "box": 0.5}, {"activation": "exp", "blob_density": 0.0}])
    def test_is_fitted_to_another_one(self, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"POINTS": 512, "CANDIDATES": 4096, "STEPS": 60}.items():
            monkeypatch.setattr(fit, name, value)
        field, other = bound(blob_radius=0.4), bound(**keys)
        other.initialise_from(field)
        at = points(2000, 0.45)
        assert opacity_gap(other, field, at) < 0.04
        assert (other.features(at) - field.features(at)).abs().mean() < 0.04

    def test_is_fitted_to_any_field(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"POINTS": 512, "CANDIDATES": 8192, "STEPS": 100}.items():
            monkeypatch.setattr(fit, name, value)
        ball = ToyField(radius=0.25)
        field = bound(box=0.5)
        before = opacity_gap(field, ball, points(2000, 0.5))
        field.initialise_from(ball)
        assert opacity_gap(field, ball, points(2000, 0.5)) < 0.2 * before
        at = points(2000, 0.2)
        assert (field.features(at) - torch.tensor([0.8, 0.3, 0.1])).abs().mean() < 0.04

    def test_the_same_seed_is_fitted_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"POINTS": 64, "CANDIDATES": 256, "STEPS": 3}.items():
            monkeypatch.setattr(fit, name, value)
        fields = [bound(box=0.5), bound(box=0.5), bound(box=0.5, seed=1)]
        for field in fields:
            field.initialise_from(ToyField())
        tables = [field.encoding.table for field in fields]
        assert torch.equal(tables[0], tables[1])
        assert not torch.equal(tables[0], tables[2])

    def test_what_has_no_density_is_refused(self) -> None:
        with pytest.raises(Unsupported, match="which has no density"):
            bound().initialise_from(PlainSurface(*square()))


def opacity_gap(one: RadianceField, other: RadianceField, at: Tensor) -> float:
    """Mean difference of what a twentieth of a unit stops of the light."""
    left = [torch.exp(-0.05 * field.density(at)) for field in (one, other)]
    return (left[0] - left[1]).abs().mean().item()


def test_noise_on_the_density_is_for_training_only_and_new_each_step() -> None:
    field = HashGrid(**SMALL, density_noise=Schedule.of({0: 1.0, 5: 0.0}), blob_density=0.0)
    stage = stage_of(field)
    field.bind(stage)

    def raw(index: int) -> Tensor:
        field.at(stage.step(index))
        return field.inverse(field.density(points(2000))).detach()

    still = field.raw_density(points(2000)).detach()
    assert (raw(0) - still).std().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(raw(1), raw(1))
    assert not torch.allclose(raw(1), raw(2), atol=0.1)
    torch.testing.assert_close(raw(7), still, rtol=1e-3, atol=1e-3)
    field.at(stage.step(1))
    with torch.no_grad():
        torch.testing.assert_close(field.inverse(field.density(points(2000))), still, rtol=1e-3, atol=1e-3)


def volume(field: HashGrid, **keys: Any) -> tuple[Volume, Stage]:
    renderer = Volume(**keys)
    stage = stage_of(field, renderer=renderer)
    renderer.bind(stage)
    renderer.at(stage.step(0))
    return renderer, stage


def test_the_volume_renderer_skips_what_is_empty_around_the_blob() -> None:
    field = bound(voxel_size=0.05)
    pictures = []
    for keys in ({}, {"skip_below": 0.0, "stop_at": 0.0}):
        renderer, stage = volume(field, **keys)
        pictures.append(renderer(field, toy_cameras(2, 12), stage.step(0), frozenset({"samples"})))
    assert len(pictures[0].samples.rays) < 0.8 * len(pictures[1].samples.rays)
    torch.testing.assert_close(pictures[0].image, pictures[1].image, rtol=0, atol=2e-3)


def test_analytic_normals_are_those_of_fine_differences() -> None:
    field = disturb(bound(interpolation="smoothstep", voxel_size=1e-3)).double()
    at = points(100, 0.45).double()
    analytic = analytic_normals(field, at)
    agreement = (analytic * finite_normals(field, at)).sum(1) / analytic.square().sum(1)
    assert agreement.median().item() == pytest.approx(1, abs=1e-2)


def test_a_loss_on_analytic_normals_turns_them() -> None:
    field = disturb(bound(voxel_size=0.05))
    renderer, stage = volume(field, normals="analytic")
    camera = Cameras.orbit(0.0, 0.2, 1.4, 0.8, 8)

    def raised() -> Tensor:
        return renderer(field, camera, stage.step(0), frozenset({"normal"})).normal[..., 2].mean()

    before = raised()
    gradients = torch.autograd.grad(before, [field.encoding.table, *field.density_network.parameters()])
    assert all(gradient.any() for gradient in gradients)
    with torch.no_grad():
        field.encoding.table.add_(gradients[0], alpha=0.2 / float(gradients[0].norm()))
    assert raised() > before + 1e-4


def test_learns_the_colour_and_shape_of_views() -> None:
    field, target = bound(box=0.5, blob_radius=0.3, voxel_size=0.05), ToyField(radius=0.25)
    renderer, stage = volume(field, background="black")
    model, _ = volume(target, background="black")  # type: ignore[arg-type]
    cameras = toy_cameras(2, 10)
    with torch.no_grad():
        wanted = model(target, cameras, stage.step(0), frozenset())
    groups = field.param_groups()
    rates = {"encoding": 0.02, "density": 0.005, "color": 0.005}
    optimizer = torch.optim.Adam([{"params": groups[name], "lr": rate} for name, rate in rates.items()])
    losses = []
    for index in range(20):
        renderer.at(stage.step(index))
        drawn = renderer(field, cameras, stage.step(index), frozenset())
        loss = (drawn.image - wanted.image).square().mean() + (drawn.alpha - wanted.alpha).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_is_exported_as_the_blob_that_it_starts_with() -> None:
    mesh = extract_mesh(bound(box=0.7), triangles=2000, threshold=4.0, resolution=40)
    radii = torch.tensor(mesh.vertices).norm(dim=1)
    torch.testing.assert_close(radii, torch.full_like(radii, 0.3), rtol=0, atol=0.02)  # where 10 (1 - r / .5) is 4
    assert mesh.is_watertight


def test_is_described_key_by_key() -> None:
    text = describe(installed().registry.component("representation", "hash_grid"))
    assert "channels: 'rgb' or 'latent' or a whole number, default \"rgb\"" in text
    assert "active_levels: a number or schedule or null, default null" in text
    assert text.count("\n      ") >= 16  # every key has a meaning
