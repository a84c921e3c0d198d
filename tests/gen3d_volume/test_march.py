from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gen3d import Cameras, RadianceField
from gen3d.testing import ToyField
from gen3d_volume.composite import Packing, optical_depth_before
from gen3d_volume.march import Steps, march
from gen3d_volume.occupancy import Occupancy
from gen3d_voxel.voxel import Voxel

STEP = 0.025


def ball(resolution: int = 40, radius: float = 0.3, density: float = 60.0) -> Voxel:
    """An opaque ball off the centre in [-1, 1]^3, nothing around it."""
    field = Voxel(resolution, "rgb", box=1.0)
    axis = (torch.arange(resolution) + 0.5) * field.voxel_size - 1
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    distance = torch.sqrt((x - 0.3) ** 2 + (y + 0.2) ** 2 + z**2)
    field.raw_density.copy_(torch.where(distance < radius, density, -40.0))
    return field


def rays() -> tuple[Tensor, Tensor]:
    """From all around: outside the box, inside it, parallel to axes, past it."""
    sphere = Cameras.orbit(torch.arange(6) * 1.1, torch.linspace(-1.4, 1.4, 6), torch.linspace(0.5, 3, 6), 0.8, 12)
    origins, directions = (batch.reshape(-1, 3).T for batch in sphere.rays())
    straight = torch.tensor([[3.0, 0.3, 0], [0.3, -2.5, 0.1], [0.3, -0.2, 2.0], [5, 5, 5]]).T
    along = torch.tensor([[-1.0, 0, 0], [0, 1, 0], [0, 0, -1], [1, 0, 0]]).T
    return torch.cat([origins, straight], 1).contiguous(), torch.cat([directions, along], 1).contiguous()


def surveyed(field: RadianceField, skip_below: float) -> Occupancy:
    occupancy = Occupancy(field)
    occupancy.survey(field, STEP, skip_below)
    return occupancy


def within(origins: Tensor, directions: Tensor, box: Tensor) -> tuple[Tensor, Tensor]:
    """Where each ray enters and leaves the box, in float64."""
    low, high = ((corner[:, None].double() - origins.double()) / directions.double() for corner in box)
    return torch.minimum(low, high).amax(0).clamp_min(0), torch.maximum(low, high).amin(0).clamp_min(0)


def numbered(steps: Steps, enter: Tensor) -> list[tuple[int, int]]:
    """Ray and number of each sample."""
    numbers = (steps.distances - enter[steps.rays]) / STEP
    torch.testing.assert_close(numbers, numbers.round(), rtol=0, atol=1e-3)
    return list(zip(steps.rays.tolist(), numbers.round().int().tolist(), strict=True))


def points_of(steps: Steps, origins: Tensor, directions: Tensor) -> Tensor:
    return (origins[:, steps.rays] + steps.distances * directions[:, steps.rays]).T


def test_without_skipping_every_sample_in_the_box_is_there() -> None:
    field, (origins, directions) = ball(), rays()
    steps = march(origins, directions, field.box, surveyed(field, 0.0), STEP, 0.0)
    enter, leave = within(origins, directions, field.box)
    counts = ((leave - enter).clamp_min(0) / STEP).ceil().int().tolist()
    differing = set(numbered(steps, enter)) ^ {(ray, i) for ray, count in enumerate(counts) for i in range(count)}
    assert len(differing) <= 2  # rounding, where the last sample lies on the far face
    assert steps.slots == int((leave - enter).max() / STEP) + 1


def test_samples_are_sorted_by_ray_and_distance() -> None:
    field, (origins, directions) = ball(), rays()
    steps = march(origins, directions, field.box, surveyed(field, 1e-4), STEP, 1e-4)
    order = steps.rays.double() * 100 + steps.distances
    assert (order.diff() > 0).all()


@pytest.mark.parametrize(("make", "share"), [(ball, 0.1), (ToyField, 0.9)], ids=["voxel", "toy"])
def test_all_that_is_worth_a_sample_gets_one(make: Callable[[], RadianceField], share: float) -> None:
    field, (origins, directions) = make(), rays()
    enter, _ = within(origins, directions, field.box)
    kept, every = (march(origins, directions, field.box, surveyed(field, skip), STEP, 0.0) for skip in (1e-4, 0.0))
    opacity = 1 - torch.exp(-field.density(points_of(every, origins, directions)) * STEP)
    worth = {pair for pair, a in zip(numbered(every, enter), opacity.tolist(), strict=True) if a > 1e-4}
    assert worth
    assert worth <= set(numbered(kept, enter)) <= set(numbered(every, enter))
    assert len(kept.rays) < share * len(every.rays)


def test_rays_end_inside_something_opaque_and_not_before() -> None:
    field, (origins, directions) = ball(radius=0.5, density=400.0), rays()
    enter, _ = within(origins, directions, field.box)
    occupancy = surveyed(field, 1e-4)
    full, short = (march(origins, directions, field.box, occupancy, STEP, stop) for stop in (0.0, 1e-3))
    depths = field.density(points_of(full, origins, directions)).detach() * STEP
    light = torch.exp(-optical_depth_before(depths, Packing.of(full.rays, origins.shape[1])))
    lit = {pair for pair, share in zip(numbered(full, enter), light.tolist(), strict=True) if share >= 1e-3}
    assert lit <= set(numbered(short, enter)) <= set(numbered(full, enter))
    assert len(short.rays) < 0.6 * len(full.rays)


def test_an_empty_field_and_no_rays_give_no_samples() -> None:
    field, (origins, directions) = ball(radius=0.0), rays()
    occupancy = surveyed(field, 1e-4)
    assert (occupancy.bounds[1] <= occupancy.bounds[0]).all()
    assert not len(march(origins, directions, field.box, occupancy, STEP, 1e-4).rays)
    none = origins[:, :0]
    assert not len(march(none, none, field.box, surveyed(ball(), 1e-4), STEP, 1e-4).rays)


def test_bounds_are_tight_around_what_is_there() -> None:
    field = ball()
    low, high = surveyed(field, 1e-4).bounds
    center = torch.tensor([0.3, -0.2, 0.0])
    reach = 0.3 + 2.5 * field.voxel_size
    assert (low >= center - reach).all()
    assert (high <= center + reach).all()
    assert (low <= center - 0.29).all()
    assert (high >= center + 0.29).all()


def test_bounds_of_density_hold_between_voxel_centres_and_at_faces() -> None:
    field = Voxel(12, "rgb")
    field.raw_density.normal_(std=3, generator=torch.Generator().manual_seed(0))
    occupancy = surveyed(field, 0.0)
    points = 2 * torch.rand(5000, 3, generator=torch.Generator().manual_seed(1)) - 1
    points[:1000, 0] = 1.0
    points[1000:2000, 2] = -1.0
    cells = ((points + 1) / field.voxel_size).long().clamp_max(11)
    floor = occupancy.floor[tuple(cells.T)]
    assert (field.density(points) >= floor - 1e-5).all()
    skipping = surveyed(field, 0.02)
    skipped = skipping.floor[tuple(cells.T)] < 0
    assert skipped.any()
    assert (1 - torch.exp(-STEP * field.density(points[skipped])) <= 0.02 + 1e-6).all()


def test_a_field_finer_than_the_survey_is_surveyed_coarsely() -> None:
    field = ToyField()
    field.voxel_size = 1 / 2048
    assert Occupancy(field).floor.shape == (256, 256, 256)
