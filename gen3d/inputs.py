"""The `inputs` of a recipe: a picture, a prompt, and where the picture was taken from."""

import math
from pathlib import Path

from gen3d.cameras import Cameras
from gen3d.errors import BadInput
from gen3d.picture import Picture


class Inputs:
    """What a run is given.

    Args:
        image: path of a picture of one object, cut out or on a plain background.
        prompt: a sentence.
        negative_prompt: what the sentence should not give.
        elevation_deg: of the camera that took the picture, above the horizon.
        radius: its distance from the object, whose longest side is 1; 1.4 suits a prepared picture.
        fov_deg: its field of view.
    """

    def __init__(
        self,
        image: str | None = None,
        prompt: str | None = None,
        negative_prompt: str = "",
        elevation_deg: float = 0.0,
        radius: float = 1.4,
        fov_deg: float = 49.1,
    ) -> None:
        bounds = {"elevation_deg": (elevation_deg, -90, 90), "radius": (radius, 0.6, 100), "fov_deg": (fov_deg, 1, 170)}
        for name, (value, least, most) in bounds.items():
            if not least <= value <= most:
                raise BadInput(f"{name} is {value:g}", remedy=f"it lies between {least} and {most}")
        if prompt is not None and not prompt.strip():
            raise BadInput("prompt is empty", remedy='say what the object is, such as inputs.prompt="a red chair"')
        self.image, self.prompt, self.negative_prompt = image, prompt, negative_prompt
        self.elevation_deg, self.radius, self.fov_deg = elevation_deg, radius, fov_deg
        self._picture: Picture | None = None

    def locate(self, recipe: Path) -> None:
        """Let a picture that a shipped recipe names be found beside its folder, from wherever it is run."""
        beside = recipe.parent.parent / (self.image or "")
        try:
            if self.image and not Path(self.image).exists() and beside.is_file():
                self.image = str(beside)
        except OSError as error:
            place, remedy = "inputs.image", "give the path of a picture, such as photo.png"
            raise BadInput(f"is no file: {error.strerror}", place=place, remedy=remedy) from error

    @property
    def picture(self) -> Picture:
        """The prepared picture. Raises BadInput where there is none or it cannot be used."""
        if self.image is None:
            raise BadInput("this recipe needs a picture", place="inputs.image", remedy="add inputs.image=photo.png")
        if self._picture is None:
            self._picture = Picture.open(Path(self.image))
        return self._picture

    def reference(self, size: int = 256) -> Cameras | None:
        """The camera of the picture: azimuth 0 by definition."""
        if self.image is None:
            return None
        elevation, fov = math.radians(self.elevation_deg), math.radians(self.fov_deg)
        return Cameras.orbit(0.0, elevation, self.radius, fov, size)
