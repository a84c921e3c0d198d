"""Captions of rendered objects: the words of their names, and the colours that they show."""

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_training.colors import COLORS
from gen3d_training.holdout import stem

_SILENT = """
level lvl first second third age detail details detailed props numbers pieces common resource story mat with without
handed default basic simple multi base stage end start middle center side top bottom left right front back overhead and
no seperate separate variation version part parts piece item model object new old set gold golden dark light
"""
"""Words of names that say nothing about what is seen, or that other words of a text are for."""

_KIND = """
small large tall round decorated medium long single corner empty dead open closed half short big broken double straight
filled full flat low thin wide narrow standing stacked damaged stone wood wooden snow moss metal autumn fall cut chopped
harvested square diagonal lit melted destroyed primitive triple hanging flying moving
"""
"""Words that say what kind of a thing it is."""

_PACKS = {
    "fish": "fish",
    "animals": "animal",
    "buildings": "building",
    "spaceships": "spaceship",
    "men": "man",
    "women": "woman",
    "weapons": "weapon",
    "tank": "tank",
}
"""Words of packs' names that say what each of their objects is."""


class Captions:
    """Texts for the objects of a dataset, different each time: prompts leave words out, and put them in any order.

    Args:
        names: "pack/object" of each object.
        least: how many objects a word must name to be in the vocabulary; rarer ones stay in the texts, for the
            network to learn that there are words it does not know.
    """

    def __init__(self, names: Sequence[str], least: int = 3) -> None:
        spoken = [_spoken(name) for name in names]
        forms = {word for words in spoken for word in words}
        words = [list(dict.fromkeys(_singular(word, forms) for word in words)) for words in spoken]
        counts = Counter(word for row in words for word in row)
        kinds = set(_KIND.split())
        self.things = [[word for word in row if word not in kinds] for row in words]
        self.kinds = [[word for word in row if word in kinds] for row in words]
        self.words = (*COLORS, *sorted(word for word, count in counts.items() if count >= least))
        self.categories = [_category(row, counts) for row in self.things]

    def weights(self) -> Float[Tensor, " objects"]:
        """How often each object is to be drawn: one over the square root of its category's size, at least 10."""
        sizes = Counter(self.categories)
        return torch.tensor([max(sizes[category], 10) ** -0.5 for category in self.categories])

    def of(self, index: int, colors: Sequence[str], rng: torch.Generator, *, recolored: bool = False) -> str:
        """A text for an object.

        Args:
            index: which object.
            colors: that it shows, the main one first.
            rng: draws which words are said, and their order.
            recolored: whether the colours are not its own; then the first one is always said.
        """
        things, kinds, (all_things, say_color, say_second) = self.things[index], self.kinds[index], _coins(3, rng)
        if things and not all_things:
            things = [things[int(torch.randint(len(things), (), generator=rng))]]
        said = [*things, *(kind for kind, say in zip(kinds, _coins(len(kinds), rng), strict=True) if say)]
        if say_color or recolored:
            said += colors[: 1 + say_second]
        return " ".join(said[i] for i in torch.randperm(len(said), generator=rng).tolist())

    def full(self, index: int, colors: Sequence[str]) -> str:
        """All that can be said of an object."""
        return " ".join([*colors, *self.kinds[index], *self.things[index]])

    def common(self, count: int) -> list[str]:
        """The names of the largest categories, the largest first."""
        sizes = Counter(category for category in self.categories if category in self.words)
        return [category for category, _ in sizes.most_common(count)]


def _coins(count: int, rng: torch.Generator) -> list[bool]:
    return (torch.rand(count, generator=rng) < 0.5).tolist()  # noqa: PLR2004 (a coin)


def _spoken(name: str) -> list[str]:
    """The words of a name that are said."""
    pack = [_PACKS[word] for word in stem(name.rpartition("/")[0]) if word in _PACKS]
    silent = {*_SILENT.split(), *COLORS}
    return [*(word for word in stem(name) if word not in silent), *pack]


def _singular(word: str, forms: set[str]) -> str:
    """A plural's singular, where that names objects too."""
    return word[:-1] if word.endswith("s") and word[:-1] in forms else word


def _category(things: Sequence[str], counts: Counter[str]) -> str:
    """The word of a name that most objects have."""
    return max(things, key=lambda word: counts[word], default="")
