"""What each pixel's ray meets in the input picture."""

import math
from pathlib import Path

import pytest
import torch
from torch.nn.functional import avg_pool2d, pixel_shuffle

from gen3d.cameras import Cameras
from gen3d.errors import BadInput
from gen3d_zero123.epipolar import epipolar_channels, epipolar_features
from gen3d_zero123.layout import save
from gen3d_zero123.loader import load
from gen3d_zero123.trainee import Trainee

POINTS, SIZE, FOV = 5, 8, math.radians(49.1)


def _camera(azimuth: float, elevation: float = 0.2, radius: float = 1.5) -> Cameras:
    return Cameras.orbit(azimuth, elevation, radius, FOV, 32)


def _seen(pictures: torch.Tensor, sources: Cameras, targets: Cameras) -> torch.Tensor:
    """(batch, points, 3, rows, columns) of the colours."""
    features = epipolar_features(pictures, sources, targets, POINTS, SIZE)
    assert features.shape[1] == epipolar_channels(POINTS)
    return pixel_shuffle(features[:, 6:], 2).unflatten(1, (POINTS, 3))


def test_seen_from_where_it_was_taken_every_point_shows_the_picture() -> None:
    picture, camera = torch.rand(1, 3, 32, 32), _camera(0.7)
    seen = _seen(picture, camera, camera)
    torch.testing.assert_close(seen, avg_pool2d(picture, 2)[:, None].expand_as(seen), atol=1e-4, rtol=0)


def test_a_point_of_the_object_shows_its_colour_in_the_target_pixel_that_sees_it() -> None:
    """A dot at the origin, seen from anywhere: the middle sample of the middle pixel finds it, the others do not."""
    picture = torch.ones(1, 3, 32, 32)
    picture[:, :, 14:18, 14:18] = -1
    seen = _seen(picture, _camera(0.0), _camera(1.4, 0.5))[0, :, 0]
    middle = seen[:, 7:9, 7:9].mean((1, 2))
    assert middle[POINTS // 2] < -0.9
    assert middle[[0, -1]].min() > 0.9


def test_points_run_from_the_nearest_to_the_farthest() -> None:
    """From the right of the pictured view, near points lie to the right in the picture."""
    picture = torch.linspace(-1, 1, 32).expand(1, 3, 32, 32).contiguous()
    shade = _seen(picture, _camera(0.0, 0.0), _camera(math.pi / 2, 0.0))[0, :, 0].mean((1, 2))
    assert (shade.diff() < -0.05).all(), shade


def test_outside_of_the_picture_is_more_background() -> None:
    picture, near = torch.ones(1, 3, 32, 32), Cameras.orbit(2.0, -0.4, 2.0, 2.0, 32)
    assert _seen(picture, _camera(0.0), near).min() > 0.999


def test_only_where_cameras_are_to_each_other_matters() -> None:
    picture = torch.rand(1, 3, 32, 32)
    one = epipolar_features(picture, _camera(0.3), _camera(1.2, 0.6), POINTS, SIZE)
    turned = epipolar_features(picture, _camera(-1.7), _camera(-0.8, 0.6), POINTS, SIZE)
    torch.testing.assert_close(one, turned, atol=1e-4, rtol=0)


def test_the_folder_says_how_many_points(tmp_path: Path) -> None:
    trainee = Trainee(size=16, channels=(32, 32), epipolar=3)
    save(trainee.networks, tmp_path / "weights")
    networks = load(tmp_path / "weights", "tiny")
    assert networks.settings == trainee.networks.settings
    camera, picture = _camera(0.0), torch.rand(1, 3, 16, 16)
    latent = networks.condition_latent(networks.codec.encode(picture), picture, camera, camera)
    assert latent.shape[1] == 48 + epipolar_channels(3)
    config = tmp_path / "weights/cc_projection/config.json"
    config.write_text(config.read_text().replace('"epipolar": 3', '"epipolar": "many"'))
    with pytest.raises(BadInput, match="epipolar is 'many'"):
        load(tmp_path / "weights", "tiny")
    config.write_text(config.read_text().replace('"many"', "4"))
    with pytest.raises(BadInput, match=r"conv_in has 138 input channels; .* has 150"):
        load(tmp_path / "weights", "tiny")
