from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gen3d import BadInput, Cameras, Stage, Unsupported
from gen3d.testing import ToyField, toy_cameras
from gen3d_volume.volume import Volume

Bind = Callable[..., tuple[Volume, Stage]]


def test_a_white_ball_is_lit_from_the_lamp(bind: Bind) -> None:
    field = ToyField(radius=0.3, color=(0.2, 0.2, 0.2))
    renderer, stage = bind(field, background="black", shading=1.0, textureless=1.0, step_ratio=0.2)
    cameras = Cameras.orbit(torch.tensor([0.0, 2.0]), 0.3, 1.4, 0.6, 24)
    views = renderer(field, cameras, stage.step(3), frozenset({"normal"}))
    light = renderer.shading.light(cameras, stage.step(3))
    origins, directions = cameras.rays()
    surface = origins + views.depth * directions
    towards = torch.nn.functional.normalize(light.position[:, None, None] - surface, dim=-1)
    expected = 0.1 + 0.9 * (views.normal * towards).sum(-1).clamp_min(0)
    solid = torch.linalg.cross(origins, directions).norm(dim=-1) < 0.22  # not the rim, where depths are blurred
    assert solid.sum() > 100
    torch.testing.assert_close(views.image[..., 0][solid], expected[solid], rtol=0, atol=0.07)
    assert views.image[..., 0][solid].std() > 0.1


def test_light_reaches_the_shape_and_albedo_is_multiplied(bind: Bind) -> None:
    field = ToyField(radius=0.3, color=(0.2, 0.4, 0.8))
    renderer, stage = bind(field, background="black", shading=1.0, textureless=0.0)
    image = renderer(field, toy_cameras(2, 12), stage.step(0), frozenset()).image
    lit = image[image[..., 2] > 1e-3]
    torch.testing.assert_close(lit / lit[:, 2:], torch.tensor([0.25, 0.5, 1.0]).expand_as(lit), rtol=1e-4, atol=0)
    assert torch.autograd.grad(image.sum(), field.color)[0].all()


def test_chunks_of_rays_have_the_light_of_their_view(bind: Bind) -> None:
    field, cameras = ToyField(), toy_cameras(3, 8)
    (whole, stage), (chunked, _) = bind(field, shading=1.0), bind(field, shading=1.0, chunk=50)
    one, other = (renderer(field, cameras, stage.step(0), frozenset()).image for renderer in (whole, chunked))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_only_training_is_lit_and_not_the_input_view(bind: Bind) -> None:
    field, cameras = ToyField(), toy_cameras(1, 8)
    (lit, stage), (plain, _) = bind(field, shading=1.0), bind(field)

    def drawn(renderer: Volume, seen: Cameras) -> Tensor:
        return renderer(field, seen, stage.step(0), frozenset()).image

    assert not torch.allclose(drawn(lit, cameras), drawn(plain, cameras), atol=0.01)
    assert torch.equal(drawn(lit, stage.reference), drawn(plain, stage.reference))
    with torch.no_grad():
        assert torch.equal(drawn(lit, cameras), drawn(plain, cameras))


def test_light_without_normals_asked_gives_none(bind: Bind) -> None:
    renderer, stage = bind(field := ToyField(), shading=1.0)
    assert renderer(field, toy_cameras(), stage.step(0), frozenset()).normal is None


def test_what_cannot_be_lit_is_refused(bind: Bind) -> None:
    with pytest.raises(BadInput, match="ambient is 2"):
        Volume(ambient=2.0)
    with pytest.raises(Unsupported, match="latents"):
        bind(ToyField(space="latent"), shading=0.5, background="texture")
