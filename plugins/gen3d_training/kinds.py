"""Kinds of objects that one picture tells apart, by the words of their names; and prompts that ask for them."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from gen3d.errors import BadInput
from gen3d.rng import generator
from gen3d_training.captions import Captions
from gen3d_training.holdout import stem

KINDS = (
    *("tree", "rock", "fish", "table", "crate", "potion", "house", "flower", "barrel", "mushroom", "chair", "sword"),
)
"""Those of which CC0 packs hold enough, and which look like nothing else."""

PROMPTS = (
    *("a red mushroom", "a green tree", "a gray rock", "an orange fish", "a brown barrel"),
    *("a brown crate", "a brown table", "a blue potion", "a red house", "a yellow flower"),
)
"""One of each of ten kinds, worded as captions are."""

_NOT = """
guns lamp lid stool shield boat dock rod lure bone worm platform stump cut block plateau hill crop harvested tower
cactus broken
"""
"""Words of names and of packs that make something else of a kind: the barrel of a gun, the lure of a fish."""

_UNLIKE = (
    *("crops_pack/PalmTree_1", "crops_pack/Flower_1", "crops_pack/Flower_2"),  # seedlings
    *(f"real_time_strategy_pack/Houses_FirstAge_3_Level{level}" for level in (1, 2)),  # frames without walls
    "prototype_bits/Barrel_A",  # a pot
)
"""Objects that are not what they are called."""

_HELD_OUT = 0.25
_FEWEST = 4  # objects of a kind that can be told from others: two to learn from, two to be held out


def kind_of(words: Sequence[str]) -> str:
    """The one kind that is among the words; none where there are several, or words that make something else of it."""
    found = set(words) & {*KINDS, *_NOT.split()}
    return found.pop() if len(found) == 1 and found <= set(KINDS) else ""


def objects_by_kind(names: Sequence[str]) -> dict[str, list[int]]:
    """The places of the objects "pack/object" of each kind, of those kinds of which there are a few at least."""
    captions = Captions(names)
    packs = [set(stem(name.rpartition("/")[0])) & set(_NOT.split()) for name in names]
    rows = zip(names, captions.things, captions.kinds, packs, strict=True)
    kinds = ["" if name.endswith(_UNLIKE) else kind_of([*things, *more, *pack]) for name, things, more, pack in rows]
    found = {kind: [i for i, other in enumerate(kinds) if other == kind] for kind in KINDS}
    return {kind: places for kind, places in found.items() if len(places) >= _FEWEST}


def split(names: Sequence[str], seed: int) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Objects to learn from, and a quarter of each kind, at least two, that are held out.

    Each object draws its own lot, so that one more of them hardly changes who else is held out.
    """
    learnt, held_out = {}, {}
    for kind, places in objects_by_kind(names).items():
        lots = {at: float(torch.rand((), generator=generator("held out", seed, names[at]))) for at in places}
        order, count = sorted(places, key=lots.__getitem__), max(2, round(_HELD_OUT * len(places)))
        held_out[kind], learnt[kind] = sorted(order[:count]), sorted(order[count:])
    return learnt, held_out


def read_prompts(path: Path | None) -> dict[str, str]:
    """The kind that each prompt of a file, one a line, asks for; PROMPTS without a file.

    Raises BadInput for a file that cannot be read or holds no prompts, and a prompt that does not name one kind.
    """
    try:
        lines = PROMPTS if path is None else path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot be read: {error}", place=str(path), remedy="give one prompt a line") from error
    prompts = {line.strip(): kind_of(slug(line).split("_")) for line in lines if line.strip()}
    if not prompts:
        raise BadInput("holds no prompts", place=str(path), remedy="give one prompt a line")
    for prompt, kind in prompts.items():
        if not kind:
            remedy = f"name one of {', '.join(KINDS)}"
            raise BadInput(f"{prompt!r} names no kind, or several", place=str(path), remedy=remedy)
    if len({slug(prompt) for prompt in prompts}) < len(prompts):
        raise BadInput("two prompts differ in nothing but signs", place=str(path), remedy="leave one of them out")
    return prompts


def slug(prompt: str) -> str:
    """The prompt as the name of a folder."""
    return re.sub(r"[^a-z0-9]+", "_", prompt.lower()).strip("_")
