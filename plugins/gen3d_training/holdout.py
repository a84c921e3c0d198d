"""Which objects a training must not see: whole packs, and elsewhere every object named like one of theirs."""

import re
from collections.abc import Iterable, Sequence

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def stem(name: str) -> tuple[str, ...]:
    """The words of an object's name without numbers and single letters: "pack/WaterBottle_2b" -> (water, bottle)."""
    words = re.split(r"[^a-z]+", _CAMEL.sub("_", name.rsplit("/", 1)[-1]).lower())
    return tuple(word for word in words if len(word) > 1)


def held_out(names: Sequence[str], packs: Iterable[str]) -> list[bool]:
    """Whether each object "pack/object" is in one of the packs, or its name begins with the stem of one that is."""
    roots = tuple(f"{pack}/" for pack in packs)
    inside = [name.startswith(roots) for name in names]
    stems = {stem(name) for name, is_in in zip(names, inside, strict=True) if is_in} - {()}
    alike = (any(stem(name)[:count] in stems for count in range(1, len(stem(name)) + 1)) for name in names)
    return [is_in or is_alike for is_in, is_alike in zip(inside, alike, strict=True)]
