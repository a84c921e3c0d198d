"""Which recipes the page offers, and what a person's wishes say in their language."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gen3d.config import load_yaml
from gen3d.errors import BadInput
from gen3d.picture_file import read_rgba
from gen3d.recipe import INPUTS, Recipe, available, find
from gen3d_web.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from PIL import Image

    from gen3d_web.jobs import Jobs

Kind = Literal["image", "prompt"]
FULL = "full"
"""What the page calls a recipe without a profile."""
AS_IT_IS = "standard"
PRESETS = (AS_IT_IS, "mobile", "prop", "hero", "film")
LONGEST_PROMPT = 300
LARGEST_FILE = 20 * 2**20
"""Bytes of a picture."""
_UNSAFE = re.compile(r"\$\{|[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Offer:
    """A recipe that somebody can choose.

    Args:
        path: the file.
        summary: its first line.
        kind: what it is given.
        profiles: its overlays, by name.
        has_presets: whether its exporter knows the presets.
        elevation_deg: of the camera that took the picture, unless somebody says otherwise.
    """

    path: Path
    summary: str
    kind: Kind
    profiles: tuple[str, ...]
    has_presets: bool
    elevation_deg: float

    @property
    def choices(self) -> list[str]:
        """Its profiles, and the recipe without one."""
        return [*self.profiles, FULL]

    def chosen(self, wanted: str) -> str:
        """The profile that is chosen at first."""
        return wanted if wanted in self.choices else FULL


def offers(more: Iterable[str] = ()) -> dict[str, Offer]:
    """The shipped recipes that need a picture or a prompt and nothing else, by name.

    Args:
        more: files to offer as well. Raises BadInput where one cannot be.
    """
    found = {path.stem: offer for path in available() if (offer := _offer(path))}
    for name in more:
        path = find(name)
        Recipe.load(path)  # says what is wrong
        offer = _offer(path)
        if offer is None:
            remedy = "give inputs.image or inputs.prompt in it"
            raise BadInput("does not start from a picture or a prompt alone", place=name, remedy=remedy)
        found[path.stem] = offer
    return found


def _offer(path: Path) -> Offer | None:
    try:
        recipe, profiles = Recipe.load(path), load_yaml(path).values.get("profiles") or {}
    except BadInput:  # a recipe for training, or of another version
        return None
    inputs, export = recipe.get("inputs", {}), recipe.get("export", {})
    builds_on = any(stage.values.get("from") == INPUTS for stage in recipe.stages.values())
    kind: Kind | None = "image" if "image" in inputs else "prompt" if "prompt" in inputs else None
    if kind is None or builds_on or inputs.keys() & {"style", "run"}:
        return None
    summary = recipe.text.partition("\n")[0].lstrip("# ")
    presets = export.get("type") == "game_mesh"
    return Offer(path.absolute(), summary, kind, tuple(profiles), presets, float(inputs.get("elevation_deg", 0)))


@dataclass(frozen=True)
class Wish:
    """What somebody has filled in.

    Args:
        offer: the recipe.
        profile: of the offer's choices.
        preset: one of PRESETS.
        prompt: a sentence; for a recipe that takes one.
        picture: an uploaded file; for a recipe that takes one.
        elevation_deg: of the camera that took the picture.
    """

    offer: Offer
    profile: str
    preset: str = AS_IT_IS
    prompt: str = ""
    picture: Path | None = None
    elevation_deg: float = 0.0


def order(jobs: Jobs, wish: Wish, vram: str | None = None) -> Job:
    """Put what somebody wishes into the queue. Raises BadInput where that cannot be run.

    Of an uploaded picture only its pixels are kept, in a file that is written here.
    """
    offer = wish.offer
    if wish.profile not in offer.choices or wish.preset not in PRESETS:
        raise BadInput("there is no such choice", place="profile or export preset", remedy="choose one of the list")
    overrides = [] if wish.preset == AS_IT_IS or not offer.has_presets else [f"export.preset={wish.preset}"]
    if offer.kind == "prompt":
        title = _prompt(wish.prompt)
        overrides.append(f"inputs.prompt={json.dumps(title, ensure_ascii=False)}")
        name = jobs.new_name()
    else:
        if wish.picture is None:
            raise BadInput("there is none yet", place="picture", remedy="drop a picture of one object into the field")
        pixels = checked_picture(wish.picture)
        title, name = wish.picture.stem, jobs.new_name()
        picture = jobs.file(name, ".png")
        pixels.save(picture)
        overrides.append(f"inputs.image={json.dumps(str(picture))}")
        overrides.append(f"inputs.elevation_deg={_elevation(wish.elevation_deg):g}")
    profile = None if wish.profile == FULL else wish.profile
    return jobs.put(Job(name, title, str(offer.path), tuple(overrides), profile, vram))


def checked_picture(path: Path) -> Image.Image:
    """The pixels of an uploaded file, by what is in it. Raises BadInput that names it as its owner does."""
    if path.stat().st_size > LARGEST_FILE:
        raise BadInput(f"is larger than {LARGEST_FILE >> 20} MB", place=path.name, remedy="make the picture smaller")
    try:
        return read_rgba(path)
    except BadInput as error:
        raise BadInput(error.cause, place=path.name, remedy=error.remedy) from error


def _prompt(text: str) -> str:
    prompt = " ".join(text.split())
    if not prompt:
        raise BadInput("is empty", place="prompt", remedy='say what the object is, such as "a red chair"')
    if len(prompt) > LONGEST_PROMPT:
        cause = f"has {len(prompt)} characters, where {LONGEST_PROMPT} are the limit"
        raise BadInput(cause, place="prompt", remedy="a few words do best")
    if _UNSAFE.search(prompt):
        raise BadInput("holds characters that no sentence has", place="prompt", remedy="use words")
    return prompt


def _elevation(degrees: float) -> float:
    if not -90 <= degrees <= 90:  # noqa: PLR2004 (nadir and zenith)
        raise BadInput(f"is {degrees:g}", place="elevation", remedy="it lies between -90 and 90")
    return degrees
