"""Captions of rendered objects: names of colours, words of names, and the views that go with them."""

import math
from collections import Counter

import pytest
import torch
from torch.nn.functional import normalize

from gen3d_training.captioned import CaptionedViews
from gen3d_training.captions import Captions
from gen3d_training.colors import COLORS, color_index, main_colors
from gen3d_training.dataset import ViewDataset
from gen3d_training.pairs import recolor

NAMED = {
    "red": (0.8, 0.1, 0.1),
    "orange": (0.95, 0.55, 0.1),
    "brown": (0.45, 0.3, 0.15),
    "yellow": (0.95, 0.85, 0.2),
    "green": (0.2, 0.6, 0.2),
    "cyan": (0.2, 0.8, 0.8),
    "blue": (0.2, 0.3, 0.8),
    "purple": (0.5, 0.2, 0.7),
    "pink": (0.95, 0.4, 0.7),
    "white": (0.95, 0.95, 0.9),
    "gray": (0.5, 0.5, 0.5),
    "black": (0.08, 0.05, 0.05),
}


def test_colours_by_name() -> None:
    assert tuple(NAMED) == COLORS
    told = color_index(torch.tensor([*NAMED.values()]))
    assert [COLORS[i] for i in told] == [*NAMED]


@pytest.mark.parametrize("shade", [0.7, 1.0])
def test_shade_changes_no_hue(shade: float) -> None:
    vivid = [name for name in NAMED if name not in {"white", "gray", "black", "orange", "brown"}]
    told = color_index(torch.tensor([NAMED[name] for name in vivid]) * shade)
    assert [COLORS[i] for i in told] == vivid


def test_main_colours_are_of_what_is_covered() -> None:
    rgb = torch.ones(4, 10, 10, 3)
    alpha = torch.zeros(4, 10, 10)
    alpha[:3, 2:8] = 1
    rgb[:2, 2:8] = torch.tensor(NAMED["red"])
    rgb[1, 2:4] = torch.tensor(NAMED["blue"])  # a third
    rgb[2, 2:8] = torch.tensor(NAMED["green"])
    rgb[2, 2] = torch.tensor(NAMED["blue"])  # a sixth
    assert main_colors(rgb, alpha) == [["red"], ["red", "blue"], ["green"], []]


OBJECTS = [
    *(f"k/nature_kit/tree_pine{letter}_Snow_1" for letter in "ABC"),
    *("k/nature_kit/tree_large", "k/nature_kit/trees_2", "q/cute_fish_pack/Clownfish", "q/fish_pack/Fish3"),
    *("q/fish_pack/FishBlue", "q/bits/chair_A", "q/bits/chair_B", "q/bits/Chair_Level2", "q/bits/Level_2"),
]


def test_the_vocabulary_is_what_several_objects_are_called() -> None:
    captions = Captions(OBJECTS, least=3)
    assert captions.words == (*COLORS, "chair", "fish", "pine", "snow", "tree")
    assert captions.categories == ["tree"] * 5 + ["fish"] * 3 + ["chair"] * 3 + [""]
    assert captions.things[0] == ["tree", "pine"]
    assert captions.kinds[0] == ["snow"]
    assert captions.things[5] == ["clownfish", "fish"]
    assert captions.common(2) == ["tree", "fish"]
    assert captions.full(0, ["green"]) == "green snow tree pine"


def test_captions_leave_words_out_and_name_changed_colours() -> None:
    captions, rng = Captions(OBJECTS), torch.Generator().manual_seed(0)
    own = Counter(captions.of(0, ["green", "white"], rng) for _ in range(400))
    assert {"tree", "pine", "tree pine", "pine tree"} <= own.keys()
    assert set(" ".join(own).split()) == {"tree", "pine", "snow", "green", "white"}
    colored = sum(count for text, count in own.items() if "green" in text)
    assert 150 < colored < 250
    assert not any("white" in text and "green" not in text for text in own)
    changed = [captions.of(0, ["pink", "blue"], rng, recolored=True) for _ in range(100)]
    assert all("pink" in text for text in changed)
    assert captions.of(11, [], rng) == ""


def test_small_categories_are_drawn_more_often_than_their_size_says() -> None:
    captions = Captions([*(f"p/tree_{i}" for i in "abcdefghijklmnopqrstuvwxyz"), *["p/chair"] * 10, "p/oddity"])
    weights = captions.weights()
    assert float(weights[26] / weights[0]) == pytest.approx(math.sqrt(2.6))
    assert weights[26] == weights[-1]


def _dataset() -> ViewDataset:
    """Two objects in colours of their own, on the left half of each picture."""
    elevation = torch.linspace(-1.5, 1.5, 20).expand(2, 20)
    pictures = torch.zeros(2, 20, 8, 8, 4, dtype=torch.uint8)
    for index, name in enumerate(("red", "blue")):
        pictures[index, :, :, :4] = torch.tensor([*(int(255 * value) for value in NAMED[name]), 255])
    azimuth = torch.full((2, 20), 0.5)
    return ViewDataset(("p/barrel", "p/crate"), pictures, azimuth, elevation, azimuth * 4, 0.857)


def test_views_go_with_their_cameras_and_captions() -> None:
    dataset = _dataset()
    views = CaptionedViews(dataset, Captions(dataset.names, least=1))
    cameras, images, texts = views.draw(600, torch.Generator().manual_seed(0))
    assert len(cameras) == len(images) == len(texts) == 600
    mirrored = cameras.azimuth < 0
    assert 230 < int(mirrored.sum()) < 370
    left_is_white = (images[:, :, :4] == 1).flatten(1).all(dim=1)
    assert torch.equal(left_is_white, mirrored)
    own = {"barrel": "red", "crate": "blue"}
    strange = 0
    for i, text in enumerate(texts):
        side = images[i, 0, -1 if mirrored[i] else 0]
        color = COLORS[int(color_index(side))]
        (thing,) = set(text.split()) - set(COLORS)
        assert set(text.split()) <= {thing, color}
        if color != own[thing]:
            assert color in text.split()
            strange += 1
    assert 60 < strange < 180
    usual = ((cameras.elevation > math.radians(-15)) & (cameras.elevation < math.radians(70))).float().mean()
    assert float(usual) > 0.8


def test_a_share_of_colours_changes_and_keeps_greys() -> None:
    matrices, changed = recolor(2000, 0.3, torch.Generator().manual_seed(0))
    assert torch.equal(changed, (matrices != torch.eye(3)).flatten(1).any(dim=1))
    assert abs(float(changed.float().mean()) - 0.3) < 0.03
    grey = normalize(matrices @ torch.ones(3), dim=1)
    torch.testing.assert_close(grey, torch.full_like(grey, 3**-0.5))
