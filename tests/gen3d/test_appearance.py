"""Objects that are none are told from those that are, by their views alone."""

import math
from pathlib import Path

import pytest
import torch

from core_toys import toy_run
from gen3d import Cameras, Step, Views
from gen3d.appearance import Appearance, Eye, statistics
from gen3d.testing import ToyField

BOX = torch.tensor([[-0.6] * 3, [0.6] * 3])


def around(size: int = 48, views: int = 6, radius: float = 1.75) -> Cameras:
    """Cameras from all sides, above and below."""
    turns = torch.arange(views) * (2 * math.pi / views) + 0.3
    return Cameras.orbit(turns, torch.tensor([0.5, -0.3]).repeat(views // 2), radius, math.radians(49.1), size)


def slab(
    half: tuple[float, float, float], color: float = 0.4, cameras: Cameras | None = None, background: float = 10.0
) -> Views:
    """A box of these half extents at the origin, exactly, over white; depth counts the background."""
    cameras = cameras or around()
    origins, directions = cameras.rays()
    ends = torch.stack([(sign * torch.tensor(half) - origins) / directions for sign in (-1, 1)])
    near, far = ends.amin(dim=0).amax(dim=-1, keepdim=True), ends.amax(dim=0).amin(dim=-1, keepdim=True)
    alpha = (far > near.clamp_min(0)).float()
    depth = torch.where(alpha > 0, near.clamp_min(0), background)
    return Views(cameras, (alpha * color + 1 - alpha).expand(-1, -1, -1, 3), "rgb", alpha, depth)


def seen(view: Views) -> Appearance:
    return Appearance.of(statistics(view, BOX).tolist())


@pytest.mark.parametrize(
    ("view", "verdicts"),
    [
        (slab((0.3, 0.2, 0.25)), []),
        (slab((0.4, 0.05, 0.05)), []),  # a stick
        (slab((0.4, 0.3, 0.08)), []),  # a book
        (slab((0.02, 0.02, 0.02)), ["empty"]),
        (slab((0.0, 0.0, 0.0)), ["empty"]),
        (slab((0.59, 0.59, 0.59)), ["block"]),
        (slab((3.0, 3.0, 3.0)), ["block"]),  # around the cameras
        (slab((0.01, 0.4, 0.4)), ["flat"]),
        (slab((0.3, 0.2, 0.25), color=1.0), ["saturated"]),
        (slab((0.3, 0.01, 0.3), color=0.0), ["flat", "saturated"]),
        (slab((0.3, 0.2, 0.25), color=0.98), []),  # nearly white is a colour
    ],
)
def test_what_is_wrong_with_an_object(view: Views, verdicts: list[str]) -> None:
    assert list(seen(view).verdicts) == verdicts


@pytest.mark.parametrize("background", [0.0, 10.0])
def test_thickness_is_that_of_the_visible_surface_whatever_depth_says_of_the_background(background: float) -> None:
    solid = slab((0.3, 0.2, 0.25), background=background)
    fog = Views(solid.cameras, solid.image, "rgb", 0.8 * solid.alpha, 0.8 * solid.depth + 0.2 * background)
    fog = Views(fog.cameras, fog.image, "rgb", fog.alpha, torch.where(fog.alpha > 0, fog.depth, background))
    assert seen(solid).thickness == pytest.approx(seen(fog).thickness, rel=1e-3)
    assert 0.5 < (seen(solid).thickness or 0) < 0.9


def test_a_mean_over_views_is_the_appearance_of_all_of_them() -> None:
    view = slab((0.3, 0.2, 0.25))
    halves = [slab((0.3, 0.2, 0.25), cameras=view.cameras[rows]) for rows in (slice(0, 3), slice(3, 6))]
    together = torch.stack([statistics(half, BOX) for half in halves]).mean(dim=0)
    torch.testing.assert_close(together, statistics(view, BOX))


def test_latents_have_no_colours_to_judge() -> None:
    view = slab((0.3, 0.2, 0.25), color=1.0)
    assert seen(Views(view.cameras, view.image, "latent", view.alpha, view.depth)).saturated is None


def test_ten_verdicts_a_stage_of_a_few_looks_each() -> None:
    eye, views = Eye(300, ToyField()), [slab((0.3, 0.2, 0.25), cameras=around(8))]
    found = [eye.look(views, Step(index, 300)) for index in range(300)]
    assert [index for index, appearance in enumerate(found) if appearance] == list(range(29, 300, 30))
    assert not any(Eye(40, ToyField()).look(views, Step(index, 40)) for index in range(40))


def test_a_window_that_began_before_the_run_was_resumed_is_not_judged() -> None:
    eye, views = Eye(300, ToyField()), [slab((0.3, 0.2, 0.25), cameras=around(8))]
    found = [index for index in range(28, 60) if eye.look(views, Step(index, 300))]
    assert found == [59]


def test_an_empty_object_is_told_once_with_what_to_change(tmp_path: Path) -> None:
    import json

    run = toy_run(tmp_path, "steps=100", "representation.radius=-5.0", "optimizer.lr=0.0")
    run.start()
    (told,) = [message for message in run.warnings if "empty" in message]
    assert told.startswith("stage main, step 9: the object is empty: it covers 0.0% of its views; ")
    assert "optimizer.lr" in told
    events = [json.loads(text) for text in (tmp_path / "out" / "events.jsonl").read_text().splitlines()]
    judged = [event for event in events if event["event"] == "health"]
    assert [event["step"] for event in judged] == list(range(9, 100, 10))
    assert all(event["verdicts"] == ["empty"] for event in judged)
    assert [event["message"] for event in events if event["event"] == "warning"] == [told]
