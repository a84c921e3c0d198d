"""Pictures for people who look: what they show, how fine they are, and how much of the run's time they take."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from gen3d import Cameras, Degenerate, Stage, Step
from gen3d.testing import ToyField, ToyRenderer, toy_stage
from gen3d_viewer.page import Page, Viewpoint
from gen3d_viewer.painter import MOVING, SHARE, STILL, Painter
from gen3d_viewer.picture import FAR, KINDS, Kind, Picture, as_bytes, draw, thumbnail

SLOWNESS = 4e-5  # seconds a pixel
CAMERA = Cameras.orbit(0.0, 0.0, 1.5, math.radians(49.1), 64)


@pytest.fixture
def stage() -> Stage:
    """A soft ball of radius 0.3."""
    return toy_stage({})


def test_colors_are_the_renderers(stage: Stage) -> None:
    step = stage.step(0)
    with torch.no_grad():
        views = stage.renderer(stage.representation, CAMERA, step, frozenset())
    assert np.array_equal(draw(stage, CAMERA, step, "colors").pixels, as_bytes(views.color)[0])


def test_every_kind_shows_the_ball(stage: Stage) -> None:
    shown = {kind: draw(stage, CAMERA, stage.step(0), kind).pixels.astype(int) for kind in KINDS}
    assert {kind: picture[0, 0].tolist() for kind, picture in shown.items()} == {
        "colors": [255] * 3,
        "depth": [255] * 3,
        "normals": [255] * 3,
        "opacity": [0] * 3,
    }
    center = {kind: picture[32, 32] for kind, picture in shown.items()}
    assert np.allclose(center["colors"], np.array([0.8, 0.3, 0.1]) * 255, atol=2)
    assert np.allclose(center["normals"], [255, 127, 127], atol=12)  # towards the camera on +X
    assert center["opacity"].min() >= 254
    rim = shown["depth"][32, 44]  # of a disc of radius 0.3 / 1.5 / tan(24.55 deg) * 32 = 14 pixels, and soft
    assert center["depth"][0] < rim[0] < 255


def test_distances_are_along_the_axis(stage: Stage) -> None:
    stage = replace(stage, renderer=ToyRenderer(samples=150))
    distance = draw(stage, CAMERA, stage.step(0), "colors").distance
    assert distance[32, 32] == pytest.approx(1.2, abs=0.02)
    assert distance[0, 0] == FAR
    # A camera that looks past the ball sees its front, 1.2 away along the axis, at 18 degrees: 1.26 along the ray.
    eye, target = torch.tensor([[1.5, 0.4, 0.0]]), torch.tensor([[0.0, 0.4, 0.0]])
    beside = Cameras.look_at(eye, math.radians(60), 64, target=target)
    column = int(32 - 0.4 / 1.2 * 32 / math.tan(math.radians(30)))
    assert draw(stage, beside, stage.step(0), "colors").distance[32, column] == pytest.approx(1.2, abs=0.03)


def test_drawing_changes_nothing_and_needs_no_gradient(stage: Stage) -> None:
    before = {name: tensor.clone() for name, tensor in stage.representation.trained_state().items()}
    state = torch.get_rng_state()
    for kind in KINDS:
        draw(stage, CAMERA, stage.step(0), kind)
    assert all(torch.equal(before[name], tensor) for name, tensor in stage.representation.trained_state().items())
    assert all(parameter.grad is None for parameter in stage.representation.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_latents_are_shown_in_false_colors_at_full_size() -> None:
    stage = replace(toy_stage({}), representation=ToyField(color=(4.0, -4.0, 0.0, 1.0), space="latent"))
    picture = draw(stage, CAMERA, stage.step(0), "colors")
    assert picture.pixels.shape == (64, 64, 3)
    assert picture.distance.shape == (8, 8)
    assert np.allclose(picture.pixels[32, 32], [255, 0, 128], atol=3)


def test_thumbnails_are_small() -> None:
    image = torch.linspace(0, 1, 100 * 50 * 3).reshape(100, 50, 3)
    assert thumbnail(image).shape == (50, 25, 3)
    assert thumbnail(torch.zeros(4, 4, 4)).tolist() == [[[128] * 3] * 4] * 4


class Desk(Page):
    """Stands for the page: who looks from where, and a clock that goes by as pictures are sent.

    Args:
        seconds: that a picture of so many pixels takes.
    """

    kind: Kind = "colors"

    def __init__(self, seconds: Callable[[int], float] = lambda pixels: SLOWNESS * pixels) -> None:
        self.now, self.seconds = 0.0, seconds
        self.who: dict[int, Viewpoint] = {}
        self.sent: list[tuple[int, Picture]] = []
        self.lines: dict[str, str] = {}
        self.drawing = 0.0

    def viewpoints(self) -> dict[int, Viewpoint]:
        return self.who

    def send(self, name: int, picture: Picture) -> None:
        took = self.seconds(picture.pixels.shape[0] * picture.pixels.shape[1])
        self.now, self.drawing = self.now + took, self.drawing + took
        self.sent.append((name, picture))

    def tell(self, **lines: str) -> None:
        self.lines |= lines

    @property
    def heights(self) -> list[int]:
        return [len(picture.pixels) for _, picture in self.sent]


def viewpoint(azimuth: float = 0.0, size: int = 400) -> Viewpoint:
    return Viewpoint(Cameras.orbit(azimuth, 0.3, 1.5, 0.8, size).c2w[0].double().numpy(), 0.8, size, size)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def painter(desk: Desk) -> Painter:
    return Painter(desk, clock=lambda: desk.now)


def test_nothing_is_drawn_for_nobody(stage: Stage, desk: Desk, painter: Painter) -> None:
    assert not painter.look(stage, stage.step(0))
    assert not painter.look(stage, stage.step(0), waiting=True)


def test_drawing_takes_its_share_of_the_time_and_no_more(stage: Stage, desk: Desk, painter: Painter) -> None:
    desk.who[7] = viewpoint()
    for index in range(300):
        painter.look(stage, Step(index, 300), waiting=False)
        desk.now += 0.02
    assert 0.7 * SHARE < desk.drawing / desk.now < 1.1 * SHARE  # the last one's rest is not over
    assert set(desk.heights[3:]) == {int(math.sqrt(MOVING / SLOWNESS))}


def test_pictures_of_what_is_slow_get_coarser(stage: Stage) -> None:
    desk = Desk(lambda pixels: 1e-3 * pixels)
    painter = Painter(desk, clock=lambda: desk.now)
    desk.who[0] = viewpoint()
    for index in range(4):
        painter.look(stage, Step(index, 4), waiting=False)
        desk.now += 100
    assert desk.heights == [96, 48, 48, 48]


def test_what_stands_still_is_drawn_finer_until_it_is_fine(stage: Stage, desk: Desk, painter: Painter) -> None:
    desk.who[0], step = viewpoint(), stage.step(0)
    while painter.look(stage, step, waiting=True):
        pass
    fine = int(math.sqrt(STILL / SLOWNESS))
    assert desk.heights == [96, 192, fine]
    assert not painter.look(stage, step)
    desk.who[0] = viewpoint(azimuth=1.0)
    painter.look(stage, step, waiting=True)
    assert desk.heights[-1] == int(math.sqrt(MOVING / SLOWNESS))
    assert len(desk.sent) == 4


def test_a_step_is_drawn_once_and_a_small_window_is_not_exceeded(stage: Stage, desk: Desk, painter: Painter) -> None:
    desk.who[0] = viewpoint(size=40)
    painter.look(stage, stage.step(0))
    desk.now += 10
    assert not painter.look(stage, stage.step(0))
    assert painter.look(stage, stage.step(1))
    assert desk.heights == [40, 40]


def test_everybody_has_a_turn(stage: Stage, desk: Desk, painter: Painter) -> None:
    desk.who = {name: viewpoint(azimuth=name) for name in range(3)}
    for index in range(6):
        painter.look(stage, Step(index, 6), waiting=False)
        desk.now += 10
    assert [name for name, _ in desk.sent] == [0, 1, 2, 0, 1, 2]


def test_an_object_that_is_none_is_said_and_tried_again(
    stage: Stage, desk: Desk, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Degenerate("there is no surface yet")

    desk.who[0] = viewpoint()
    with monkeypatch.context() as patch:
        patch.setattr(type(stage.renderer), "forward", refuse)
        assert painter.look(stage, stage.step(0))
    assert desk.lines == {"picture": "there is no surface yet"}
    desk.now += 10
    assert painter.look(stage, stage.step(1))
    assert len(desk.sent) == 1
