"""The representation: its start, its handover from fields, its freezing, its checkpoints."""

from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from gen3d import BadInput, Cameras, Degenerate, Representation, Stage, Step, Surface, Unsupported
from gen3d.density_grid import sample_density
from gen3d.inputs import Inputs
from gen3d.testing import ToyField
from gen3d.threshold import automatic_threshold
from gen3d_mesh.handover import occupied_box, signed_distances, whole
from gen3d_mesh.raster import Raster
from gen3d_mesh.tetrahedra import Tetrahedra
from gen3d_voxel.voxel import Voxel
from plain_surface import front
from soft_shapes import CENTER, RADIUS, Shape, sides, soft_ball


def bound(part: Representation) -> Any:
    part.name = "representation"
    part.bind(Stage("shape", 10, 0, torch.device("cpu"), Inputs(), None, part, Raster(), {}))
    return part


def mesh_of(surface: Tetrahedra) -> trimesh.Trimesh:
    triangles = surface.triangles()
    return trimesh.Trimesh(triangles.vertices.detach().numpy(), triangles.faces.numpy(), process=False)


def test_it_is_a_surface() -> None:
    assert isinstance(Tetrahedra(4), Surface)


def test_it_starts_as_a_closed_ball() -> None:
    mesh = mesh_of(bound(Tetrahedra(24, box=0.5, radius=0.3)))
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.02)  # and its normals point outwards
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), 0.3, atol=0.003)


def test_a_field_becomes_the_surface_that_cameras_see() -> None:
    surface = bound(Tetrahedra(32))
    field = soft_ball(peak=200.0, softness=0.01)
    surface.initialise_from(field)
    mesh = mesh_of(surface)
    assert mesh.is_watertight
    away = np.linalg.norm(mesh.vertices - CENTER.numpy(), axis=1)
    assert away.std() < 0.002
    level = automatic_threshold(sample_density(field, 64))
    assert away.mean() == pytest.approx(RADIUS + 0.01 * np.log(200 / level - 1), abs=0.005)
    assert mesh.body_count == 1


def test_at_a_given_threshold_the_surface_is_where_the_density_has_it() -> None:
    """density = 100 sigmoid(-d / 0.03) is 10 at d = 0.03 ln 9."""
    surface = bound(Tetrahedra(40, threshold=10.0))
    surface.initialise_from(soft_ball(peak=100.0, softness=0.03))
    away = np.linalg.norm(mesh_of(surface).vertices - CENTER.numpy(), axis=1)
    np.testing.assert_allclose(away, RADIUS + 0.03 * np.log(9), atol=3e-3)


def test_the_lattice_is_scaled_to_the_object() -> None:
    """A slab of 0.5 x 0.3 x 0.06 with a tenth of its longest side on each side."""
    field = Shape(lambda p: (p.abs() - torch.tensor([0.25, 0.15, 0.03])).amax(-1), sides, softness=0.001)
    bounds, _ = occupied_box(field, 100, None)
    torch.testing.assert_close(bounds[1] - bounds[0], torch.tensor([0.62, 0.42, 0.18]), atol=0.03, rtol=0)
    torch.testing.assert_close(bounds.sum(0), torch.zeros(3), atol=0.02, rtol=0)
    surface = bound(Tetrahedra(32))
    surface.initialise_from(field)
    np.testing.assert_allclose(mesh_of(surface).extents, [0.5, 0.3, 0.06], atol=0.015)


def test_what_fills_its_box_is_closed_all_the_same() -> None:
    surface = bound(Tetrahedra(16, threshold=5.0))
    surface.initialise_from(Shape(lambda p: p[:, 0] * 0 - 1, sides, half=(0.3, 0.3, 0.3)))
    mesh = mesh_of(surface)
    assert mesh.is_watertight
    np.testing.assert_allclose(mesh.extents, 0.6, atol=0.05)


def test_distances_count_cells_whatever_the_scale_of_the_density() -> None:
    """Near the surface of a soft ball: Taubin's first-order distance, clamped; negative inside."""
    axis = torch.linspace(-0.5, 0.5, 41)
    nodes = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    expected = ((nodes - CENTER).norm(dim=-1) - RADIUS) / 0.025
    for peak in (10.0, 1000.0):
        found = signed_distances(soft_ball(peak=peak, softness=0.02), nodes, peak / 2)
        near = expected.abs() < 0.5
        assert (found - expected)[near].abs().max() < 0.15
        assert (found[expected > 3] == 2).all()
        assert (found[expected < -3] == -2).all()


def test_crumbs_and_cavities_are_left_out() -> None:
    inside = np.zeros((20, 20, 20), dtype=bool)
    inside[4:14, 4:14, 4:14] = True
    inside[8:10, 8:10, 8:10] = False
    inside[17, 17, 17] = True
    expected = np.zeros_like(inside)
    expected[4:14, 4:14, 4:14] = True
    assert (whole(inside) == expected).all()
    shell = Shape(lambda p: (p.norm(dim=-1) - 0.3).abs() - 0.06, sides, peak=300.0)
    surface = bound(Tetrahedra(32))
    surface.initialise_from(shell)
    assert mesh_of(surface).body_count == 1


def test_an_empty_field_names_the_threshold_and_the_largest_density() -> None:
    with pytest.raises(Degenerate) as raised:
        bound(Tetrahedra(16, threshold=40.0)).initialise_from(soft_ball(peak=25.0))
    assert "threshold is 40" in str(raised.value)
    assert "never exceeds 25" in str(raised.value)
    assert "representation.threshold" in raised.value.remedy
    with pytest.raises(Degenerate, match=r"automatic threshold.*never exceeds 0\.3"):
        bound(Tetrahedra(16)).initialise_from(soft_ball(peak=0.3))


def test_a_surface_that_vanishes_is_an_error() -> None:
    surface = bound(Tetrahedra(8))
    with torch.no_grad():
        surface.sdf.fill_(0.25)
    with pytest.raises(Degenerate, match=r"vanished: the least signed distance is 0\.25"):
        surface.triangles()


def test_the_topology_follows_the_distances() -> None:
    surface = bound(Tetrahedra(16, box=0.5, radius=0.3))
    before = len(surface.triangles().faces)
    faces = surface.triangles().faces
    assert surface.triangles().faces is faces  # nothing has changed
    with torch.no_grad():
        surface.sdf.sub_(1.0)  # a cell of 1/16 outwards
    assert len(surface.triangles().faces) > before


def test_the_surface_is_closed_where_it_reaches_the_border() -> None:
    surface = bound(Tetrahedra(8))
    with torch.no_grad():
        surface.sdf.fill_(-1.0)
    mesh = mesh_of(surface)
    assert mesh.is_watertight
    assert mesh.volume > 0


def test_offsets_move_nodes_by_half_a_cell_at_most() -> None:
    surface = bound(Tetrahedra(8, box=0.4, radius=0.25))
    before = surface.triangles().vertices.detach()
    with torch.no_grad():
        surface.offsets.fill_(1e6)
    torch.testing.assert_close(surface.triangles().vertices.detach(), before + 0.05)


def test_gradients_reach_distances_and_offsets() -> None:
    surface = bound(Tetrahedra(12))
    views = bound(Raster())(surface, front(24), Step(0, 1), frozenset({"normal"}))
    views.alpha.sum().backward(retain_graph=True)
    assert surface.sdf.grad.sum().item() < 0  # larger distances, a smaller object
    views.normal[..., 2].square().sum().backward()
    assert 20 < (surface.sdf.grad != 0).sum() < surface.sdf.numel()
    assert surface.offsets.grad.any()
    assert surface.sdf.grad.isfinite().all()


def test_a_ball_becomes_an_egg_that_pictures_show() -> None:
    """Silhouettes alone, from all around, as a run would do it."""
    egg = Shape(lambda p: (p / torch.tensor([0.3, 0.25, 0.4])).norm(dim=-1) * 0.3 - 0.3, sides, peak=500.0)
    wanted = bound(Tetrahedra(20))
    wanted.initialise_from(egg)
    surface = bound(Tetrahedra(20, box=0.5, radius=0.3))
    cameras = Cameras.orbit(torch.arange(6) * 1.05, torch.tensor([0.0, 0.5, -0.4, 0.9, 0.2, -0.7]), 1.6, 0.857, 32)
    renderer, step = bound(Raster()), Step(0, 1)
    with torch.no_grad():
        target = renderer(wanted, cameras, step, frozenset()).alpha
    optimizer = torch.optim.Adam([surface.sdf, surface.offsets], lr=0.03)
    for _ in range(60):
        optimizer.zero_grad()
        alpha = renderer(surface, cameras, step, frozenset()).alpha
        (alpha - target).square().mean().backward()
        optimizer.step()
    assert (alpha - target).abs().mean() < 0.01
    np.testing.assert_allclose(mesh_of(surface).extents, [0.6, 0.5, 0.8], atol=0.05)


def colored(resolution: int = 16) -> Voxel:
    return bound(Voxel(resolution, "rgb", box=0.5))


def test_colours_come_from_the_field_before() -> None:
    field = soft_ball(peak=200.0)
    surface = bound(Tetrahedra(16, texture=Voxel(32, "rgb", box=0.5)))
    surface.initialise_from(field)
    points = CENTER + RADIUS * torch.eye(3)
    torch.testing.assert_close(surface.texture(points), field.features(points), atol=0.02, rtol=0)


def test_a_later_stage_takes_over_shape_and_colours() -> None:
    first = bound(Tetrahedra(12, texture=Voxel(8, "rgb", box=0.5)))
    first.initialise_from(soft_ball(peak=200.0))
    with torch.no_grad():
        first.offsets.normal_(generator=torch.Generator().manual_seed(0))
    second = bound(Tetrahedra(12, texture=Voxel(8, "rgb", box=0.5), frozen="geometry"))
    second.initialise_from(first)
    torch.testing.assert_close(second.triangles().vertices, first.triangles().vertices.detach())
    points = torch.rand(9, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    torch.testing.assert_close(second.texture(points), first.texture(points))
    with pytest.raises(Unsupported, match="cannot start from a Nothing"):
        bound(Tetrahedra(12)).initialise_from(type("Nothing", (Representation,), {})())


def test_its_topology_follows_the_steps_of_any_optimizer() -> None:
    """Fused ones change tensors without a trace in their versions."""
    surface = bound(Tetrahedra(12))
    before = len(surface.triangles().faces)
    optimizer = torch.optim.Adam([surface.sdf], lr=1.0, fused=True)
    surface.sdf.sum().backward()
    optimizer.step()  # every distance falls by 1: the ball grows
    assert len(surface.triangles().faces) > before
    assert mesh_of(surface).is_watertight


@pytest.mark.parametrize("resolution", [16, 40])
def test_a_lattice_of_another_resolution_holds_the_same_surface(resolution: int) -> None:
    """A ball whose distances are right where the nodes have moved to; they move smoothly, as trained ones do."""
    first = bound(Tetrahedra(24, box=0.5))
    numbers = torch.arange(25**3)
    with torch.no_grad():
        first.offsets.copy_(first._indices(numbers).mul(0.4).sin())
        places = first._nodes().view(-1, 3) + 0.5 / 24 * first.offsets.tanh()
        first.sdf.copy_(((places.norm(dim=1) - 0.3) * 24).clamp(-2, 2).view(25, 25, 25))
    second = bound(Tetrahedra(resolution, box=0.7))
    second.initialise_from(first)
    torch.testing.assert_close(second.bounds, first.bounds)
    for surface in (first, second):
        np.testing.assert_allclose(np.linalg.norm(mesh_of(surface).vertices, axis=1), 0.3, atol=0.006)
    with pytest.raises(Unsupported, match="is frozen, and a lattice of 12 cannot hold that of 24"):
        bound(Tetrahedra(12, texture=Voxel(8, "rgb"), frozen="geometry")).initialise_from(first)


@pytest.mark.parametrize("frozen", ["geometry", "texture"])
def test_what_is_frozen_keeps_still(frozen: str) -> None:
    surface = bound(Tetrahedra(8, texture=Voxel(8, "rgb", box=0.5), frozen=frozen))
    views = bound(Raster())(surface, front(16), Step(0, 1), frozenset())
    views.image.square().sum().backward()
    trained = {name for name, group in surface.param_groups().items() if any(p.grad is not None for p in group)}
    kept = {"geometry": {"texture.color"}, "texture": {"geometry.sdf", "geometry.offsets"}}
    assert trained == kept[frozen]


def test_without_a_texture_it_is_grey() -> None:
    surface = bound(Tetrahedra(8))
    assert (surface.texture(torch.zeros(4, 3)) == 0.5).all()
    assert set(surface.param_groups()) == {"geometry.sdf", "geometry.offsets"}


def test_a_checkpoint_holds_shape_box_and_colours() -> None:
    first = bound(Tetrahedra(12, texture=Voxel(8, "rgb", box=0.5)))
    first.initialise_from(soft_ball(peak=200.0))
    state = {name: tensor.clone() for name, tensor in first.trained_state().items()}
    assert {"geometry.sdf.0", "geometry.offsets.0", "texture.color.0", "bounds"} <= set(state)
    second = bound(Tetrahedra(12, texture=Voxel(8, "rgb", box=0.5)))
    _ = second.triangles()  # what is remembered of the ball does not survive
    second.load_trained_state(state)
    for own, other in zip(second.triangles().__dict__.values(), first.triangles().__dict__.values(), strict=True):
        torch.testing.assert_close(own, other)
    points: Tensor = CENTER + RADIUS * torch.eye(3)
    torch.testing.assert_close(second.texture(points), first.texture(points))


@pytest.mark.parametrize(
    "keys",
    [
        {"resolution": 1},
        {"resolution": 9999},
        {"threshold": 0.0},
        {"box": -1.0},
        {"radius": 0.7},
        {"frozen": "geometry"},
    ],
)
def test_what_cannot_be_is_bad_input(keys: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Tetrahedra(**keys)


def test_a_texture_of_latents_is_refused() -> None:
    with pytest.raises(Unsupported, match="no field of colours"):
        Tetrahedra(8, texture=ToyField(space="latent"))
