from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gen3d import Schedule, Step
from gen3d.shading import Lamp, Light, Shading, beside, cone
from gen3d.testing import toy_cameras

CAMERAS = Path(__file__).parents[1] / "golden" / "sds_vsd" / "cameras.npz"


def tensor(*rows: list[float]) -> Tensor:
    return torch.tensor([*rows], dtype=torch.float32)


def test_lights_are_where_threestudio_puts_them() -> None:
    with np.load(CAMERAS, allow_pickle=False) as file:
        positions, noise, distance, expected = (
            torch.from_numpy(file[name]) for name in ("A_camera_positions", "n_light", "u_light", "A_light_positions")
        )
    torch.testing.assert_close(beside(positions, noise, distance), expected, rtol=1e-5, atol=2e-6)


def test_lights_of_magic3d_are_where_threestudio_puts_them() -> None:
    names = ("B_camera_positions", "u_light_azim", "u_light_elev", "u_light", "B_light_positions")
    with np.load(CAMERAS, allow_pickle=False) as file:
        positions, around, height, distance, expected = (torch.from_numpy(file[name]) for name in names)
    found = cone(positions, torch.stack([around, height], dim=1), distance)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)
    away = torch.nn.functional.cosine_similarity(found, positions)
    assert away.min() >= 0.5  # within 60 degrees


def test_the_formula() -> None:
    light = Light(tensor([0, 0, 0]), ambient=0.1, diffuse=0.9, textureless=False)
    albedo = tensor([0.2, 0.4, 0.8], [0.2, 0.4, 0.8], [1, 1, 1])
    normals = tensor([0, 0, 1], [0, 0, 1], [0, 0, 1])
    towards = tensor([0, 0, 2], [3**0.5, 0, 1], [0, 0, -1])  # above, 60 degrees from the normal, behind
    expected = torch.stack([albedo[0], albedo[1] * 0.55, albedo[2] * 0.1])
    torch.testing.assert_close(light.shade(albedo, normals, towards), expected)
    white = Light(light.position, 0.1, 0.9, textureless=True).shade(albedo, normals, towards)
    torch.testing.assert_close(white, tensor([1.0], [0.55], [0.1]).expand(3, 3))


def test_first_only_albedo_then_a_share_of_which_half_is_white() -> None:
    shading = Shading(Schedule.of({0: 0, 40: 0.75}), 0.5, ambient=0.1, diffuse=0.9, lamp="beside")
    lights = [shading.light(toy_cameras(), Step(index, 240)) for index in range(240)]
    assert lights[:40] == [None] * 40
    lit = [light for light in lights if light is not None]
    assert len(lit) / 200 == pytest.approx(0.75, abs=0.1)
    assert sum(light.textureless for light in lit) / len(lit) == pytest.approx(0.5, abs=0.12)
    distances = torch.cat([light.position.norm(dim=1) for light in lit])
    assert distances.min() >= 0.8
    assert distances.max() <= 1.5


def test_soft_light_is_shared_out_anew_each_step() -> None:
    shading = Shading(1.0, 0.5, ambient=0.1, diffuse="random", lamp="cone")
    lights = [light for index in range(200) if (light := shading.light(toy_cameras(), Step(index, 200))) is not None]
    assert {round(light.ambient + light.diffuse, 6) for light in lights} == {1.0}
    shares = torch.tensor([light.diffuse for light in lights])
    assert shares.mean().item() == pytest.approx(0.5, abs=0.06)
    assert shares.std().item() == pytest.approx(12**-0.5, abs=0.04)


@pytest.mark.parametrize("lamp", ["beside", "cone"])
def test_a_neighbour_of_the_first_view_has_its_light(lamp: Lamp) -> None:
    shading, cameras = Shading(1.0, 0.5, 0.1, 0.9, lamp), toy_cameras(3)
    lights = [shading.light(each, Step(0, 1)) for each in (cameras, cameras[0])]
    torch.testing.assert_close(lights[0].position[:1], lights[1].position)
