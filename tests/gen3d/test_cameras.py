"""Where cameras are, how they look, and which way their rays go."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3d.cameras import Cameras, concatenate, direction

GOLDEN = Path(__file__).parents[1] / "golden" / "sds_vsd" / "cameras.npz"
DOWN_MINUS_Z = torch.tensor([0.0, 0.0, -1.0])


def test_front_is_plus_x_and_left_of_it_is_plus_y() -> None:
    front, left = Cameras.orbit(torch.tensor([0.0, math.pi / 2]), 0.0, 2.0, 1.0, 8).position
    torch.testing.assert_close(front, torch.tensor([2.0, 0, 0]))
    torch.testing.assert_close(left, torch.tensor([0, 2.0, 0]), atol=1e-6, rtol=0)


def test_front_camera_has_y_on_its_right_and_z_upwards() -> None:
    c2w = Cameras.orbit(0.0, 0.0, 2.0, 1.0, 8).c2w[0]
    expected = torch.tensor([[0.0, 0, 1, 2], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    torch.testing.assert_close(c2w, expected)


@given(st.floats(-math.pi, math.pi), st.floats(-math.pi / 2, math.pi / 2), st.floats(0.5, 5))
def test_orbit_is_a_right_handed_frame_that_looks_at_the_origin(
    azimuth: float, elevation: float, radius: float
) -> None:
    cameras = Cameras.orbit(azimuth, elevation, radius, 0.9, 4)
    rotation = cameras.c2w[0, :3, :3]
    torch.testing.assert_close(rotation.T @ rotation, torch.eye(3), atol=1e-5, rtol=0)
    assert torch.linalg.det(rotation) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(rotation @ DOWN_MINUS_Z, -cameras.position[0] / radius, atol=1e-5, rtol=0)
    assert rotation[2, 0] == pytest.approx(0, abs=1e-5)  # the horizon is level
    assert rotation[2, 1] >= -1e-5  # and the camera not upside down
    assert cameras.radius.item() == pytest.approx(radius, rel=1e-5)
    assert cameras.elevation.item() == pytest.approx(elevation, abs=1e-3)


@given(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5))
def test_azimuth_and_elevation_are_read_back(azimuth: float, elevation: float) -> None:
    cameras = Cameras.orbit(azimuth, elevation, 1.7, 0.9, 4)
    assert cameras.azimuth.item() == pytest.approx(azimuth, abs=1e-4)
    assert cameras.elevation.item() == pytest.approx(elevation, abs=1e-4)


@pytest.mark.parametrize("sign", [1, -1])
def test_poles_continue_azimuth_0(sign: int) -> None:
    pole = Cameras.orbit(0.0, sign * math.pi / 2, 1.5, 1.0, 4).c2w
    near = Cameras.orbit(0.0, sign * (math.pi / 2 - 1e-3), 1.5, 1.0, 4).c2w
    torch.testing.assert_close(pole, near, atol=3e-3, rtol=0)


def test_pole_by_look_at_is_finite() -> None:
    rays = Cameras.look_at(torch.tensor([[0.0, 0.0, 2.0]]), 1.0, 3).rays()[1]
    assert rays.isfinite().all()
    torch.testing.assert_close(rays[0, 1, 1], DOWN_MINUS_Z)


def test_rays_pass_through_pixel_centres() -> None:
    cameras = Cameras.orbit(0.0, 0.0, 2.0, math.pi / 2, 2, 4)  # focal length 1 pixel
    origins, directions = cameras.rays()
    assert origins.shape == directions.shape == (1, 2, 4, 3)
    top_left = torch.tensor([-1.0, -1.5, 0.5])  # forward, left, up
    torch.testing.assert_close(directions[0, 0, 0], top_left / top_left.norm())
    torch.testing.assert_close(directions[0, 1, 3], torch.tensor([-1.0, 1.5, -0.5]) / top_left.norm())
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(1, 2, 4))


def test_field_of_view_is_vertical() -> None:
    directions = Cameras.orbit(0.0, 0.0, 2.0, 0.8, 101, 31).rays()[1][0]
    up, down = directions[0, 15], directions[-1, 15]
    pixel = 0.8 / 101
    assert torch.acos(up @ down).item() == pytest.approx(0.8, abs=1.2 * pixel)


def test_rays_equal_the_published_ones() -> None:
    golden = np.load(GOLDEN)
    azimuth = torch.from_numpy(golden["eval_val_azimuth_deg"]).deg2rad()
    cameras = Cameras.orbit(azimuth, math.radians(15), 1.5, math.radians(70), 4)
    origins, directions = cameras.rays()
    for ours, name in ((cameras.c2w, "c2w"), (origins, "rays_o"), (directions, "rays_d")):
        torch.testing.assert_close(ours, torch.from_numpy(golden[f"eval_val_{name}"]), atol=2e-6, rtol=0)


def test_indexing_keeps_a_batch() -> None:
    cameras = Cameras.orbit(torch.arange(4.0), 0.0, torch.arange(1.0, 5.0), 0.9, 4)
    assert [len(cameras[i]) for i in (0, -1, slice(1, 3), torch.tensor([3, 0]))] == [1, 1, 2, 2]
    assert cameras[-1].radius.tolist() == pytest.approx([4])
    assert cameras[torch.tensor([3, 0])].radius.tolist() == pytest.approx([4, 1])


def test_resized_is_the_same_object_where_the_size_is() -> None:
    cameras = Cameras.orbit(0.0, 0.0, 2.0, 0.9, 4, 6)
    assert cameras.resized(4, 6) is cameras
    other = cameras.resized(8)
    assert (other.height, other.width) == (8, 8)
    assert torch.equal(other.c2w, cameras.c2w)


def test_cameras_are_told_apart_by_identity() -> None:
    one, other = (Cameras.orbit(0.0, 0.0, 2.0, 0.9, 4) for _ in range(2))
    assert len({one: 1, other: 2}) == 2


def test_concatenate() -> None:
    one, other = Cameras.orbit(0.0, 0.0, 2.0, 0.9, 4), Cameras.orbit(torch.ones(2), 0.0, 3.0, 0.7, 4)
    both = concatenate([one, other])
    assert len(both) == 3
    assert both.radius.tolist() == pytest.approx([2, 3, 3])
    assert both.fov.tolist() == pytest.approx([0.9, 0.7, 0.7])


def test_rays_are_differentiable_in_the_pose() -> None:
    azimuth = torch.tensor([0.3], requires_grad=True)
    Cameras.orbit(azimuth, 0.2, 1.5, 0.9, 2).rays()[0][..., 0].mean().backward()
    assert azimuth.grad is not None
    assert azimuth.grad.item() == pytest.approx(-1.5 * math.cos(0.2) * math.sin(0.3), rel=1e-5)


def test_direction_is_of_unit_length() -> None:
    angles = torch.linspace(-3, 3, 50)
    torch.testing.assert_close(direction(angles, angles / 2).norm(dim=-1), torch.ones(50))
