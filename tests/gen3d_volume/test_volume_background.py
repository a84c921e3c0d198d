from collections.abc import Callable, Sequence

import pytest
import torch

from gen3d import BadInput, Cameras, Guidance, Prior, Schedule, Signal, Stage, Step, Unsupported, Views
from gen3d.testing import MixturePrior, ToyField, toy_cameras
from gen3d.views import Space
from gen3d_volume.volume import Volume

Bind = Callable[..., tuple[Volume, Stage]]


class Silent(Guidance):
    def forward(self, step: Step, *views: Views) -> Signal:
        return Signal(torch.zeros(()))


class WithPrior(Silent):
    def __init__(self) -> None:
        super().__init__()
        self.prior: Prior = MixturePrior([1.0], [0.0], [1.0])


@pytest.mark.parametrize(("name", "value"), [("white", 1.0), ("black", 0.0)])
def test_a_solid_colour_by_name(bind: Bind, name: str, value: float) -> None:
    renderer, stage = bind(field := ToyField(radius=-1.0), background=name)
    assert (renderer(field, toy_cameras(), stage.step(0), frozenset()).image == value).all()
    assert renderer.param_groups() == {}


@pytest.mark.parametrize("color", [[0.5], [0.1, 0.2, 1.5]])
def test_what_is_no_colour_is_refused(bind: Bind, color: Sequence[float]) -> None:
    with pytest.raises(BadInput, match="background"):
        bind(ToyField(), background=color)


def test_behind_latents_is_what_the_prior_makes_of_the_colour(bind: Bind) -> None:
    field = ToyField(radius=-1.0, color=(1.0, 2.0, 3.0), space="latent")
    renderer, stage = bind(field, {"other": Silent(), "novel_views": WithPrior()}, background=[0.2, 0.4, 0.6])
    image = renderer(field, toy_cameras(2, 6), stage.step(0), frozenset()).image
    torch.testing.assert_close(image, torch.tensor([0.2, 0.4, 0.6]).expand(2, 6, 6, 3))


def test_behind_latents_needs_a_prior_with_as_many_channels(bind: Bind) -> None:
    with pytest.raises(Unsupported, match="no guidance has a prior"):
        bind(ToyField(space="latent"), {"other": Silent()})
    with pytest.raises(Unsupported, match="has 2 channels, and the prior's latents have 3"):
        bind(ToyField(color=(1.0, 2.0), space="latent"), {"novel_views": WithPrior()})


def test_random_colours_now_and_then_while_training(bind: Bind) -> None:
    field = ToyField(radius=-1.0)
    renderer, stage = bind(field, random_background=0.5)
    pictures = [renderer(field, toy_cameras(1, 2), stage.step(i), frozenset()).image for i in range(24)]
    white = [bool((picture == 1).all()) for picture in pictures]
    assert 5 < sum(white) < 19
    colors = {tuple(picture[0, 0, 0].tolist()) for picture in pictures}
    assert len(colors) == 1 + 24 - sum(white)
    with torch.no_grad():
        assert all((renderer(field, toy_cameras(1, 2), stage.step(i), frozenset()).image == 1).all() for i in range(5))


def test_random_colours_by_schedule_and_never_behind_the_input_view(bind: Bind) -> None:
    field = ToyField(radius=-1.0)
    renderer, stage = bind(field, random_background=Schedule.of({0: 0, 5: 1}))
    assert stage.reference is not None

    def white(cameras: Cameras, index: int) -> bool:
        return bool((renderer(field, cameras, stage.step(index), frozenset()).image == 1).all())

    assert [white(toy_cameras(1, 2), index) for index in (0, 4, 5, 9)] == [True, True, False, False]
    assert white(stage.reference, 5)
    assert white(stage.reference_at(3), 5)


def test_random_colours_are_not_for_latents(bind: Bind) -> None:
    with pytest.raises(Unsupported, match="latents"):
        bind(ToyField(space="latent"), random_background=0.5, background="texture")


def test_a_texture_of_colours_is_in_range(bind: Bind) -> None:
    renderer, stage = bind(field := ToyField(radius=-1.0), background="texture")
    image = renderer(field, toy_cameras(4, 8), stage.step(0), frozenset()).image
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.std() > 0.01


@pytest.mark.parametrize("space", ["rgb", "latent"])
def test_a_network_is_learnt_by_direction(bind: Bind, space: Space) -> None:
    renderer, stage = bind(field := ToyField(radius=-1.0, space=space), background="network")
    (weights,) = renderer.param_groups().values()
    assert list(renderer.param_groups()) == ["background"]
    optimizer = torch.optim.Adam(weights, lr=0.02)
    cameras = toy_cameras(4, 6)
    wanted = 0.5 + 0.4 * cameras.rays()[1]
    losses = []
    for _ in range(60):
        loss = (renderer(field, cameras, stage.step(0), frozenset()).image - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_a_network_starts_from_the_seed(bind: Bind) -> None:
    fields = [ToyField(radius=-1.0) for _ in range(2)]
    images = [
        renderer(field, toy_cameras(), stage.step(0), frozenset()).image
        for field in fields
        for renderer, stage in [bind(field, background="network")]
    ]
    assert torch.equal(*images)
