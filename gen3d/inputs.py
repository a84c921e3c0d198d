"""The `inputs` of a recipe: a picture, a prompt, and where the picture was taken from."""

import math
from pathlib import Path

from PIL import Image

from gen3d.cameras import Cameras
from gen3d.errors import BadInput
from gen3d.picture import Picture
from gen3d.picture_file import read_rgba


class Inputs:
    """What a run is given.

    Args:
        image: path of a picture of one object, cut out or on a plain background.
        prompt: a sentence.
        negative_prompt: what the sentence should not give.
        elevation_deg: of the camera that took the picture, above the horizon.
        radius: its distance from the object, whose longest side is 1; 1.4 suits a prepared picture.
        fov_deg: its field of view.
        style: path of a picture of any kind, for a prior that lets one steer what the prompt makes.
        run: directory of another run, from whose object a stage with `from: inputs` starts.
        stage: which of its stages; null: the last one.
    """

    def __init__(
        self,
        image: str | None = None,
        prompt: str | None = None,
        negative_prompt: str = "",
        elevation_deg: float = 0.0,
        radius: float = 1.4,
        fov_deg: float = 49.1,
        style: str | None = None,
        run: str | None = None,
        stage: str | None = None,
    ) -> None:
        bounds = {"elevation_deg": (elevation_deg, -90, 90), "radius": (radius, 0.6, 100), "fov_deg": (fov_deg, 1, 170)}
        for name, (value, least, most) in bounds.items():
            if not least <= value <= most:
                raise BadInput(f"{name} is {value:g}", remedy=f"it lies between {least} and {most}")
        if prompt is not None and not prompt.strip():
            raise BadInput("prompt is empty", remedy='say what the object is, such as inputs.prompt="a red chair"')
        self.image, self.style, self.prompt, self.negative_prompt = image, style, prompt, negative_prompt
        self.elevation_deg, self.radius, self.fov_deg = elevation_deg, radius, fov_deg
        self.run, self.stage = run, stage
        self._picture: Picture | None = None
        self._style: Image.Image | None = None

    def locate(self, recipe: Path) -> None:
        """Let pictures that a shipped recipe names be found beside its folder, from wherever it is run."""
        self.image = _located(self.image, recipe, "inputs.image")
        self.style = _located(self.style, recipe, "inputs.style")

    def read(self) -> None:
        """Read the pictures there are. Raises BadInput where one cannot be used."""
        if self.image is not None:
            _ = self.picture
        if self.style is not None:
            _ = self.style_picture

    def files(self) -> dict[str, Path]:
        """The pictures by their keys, as absolute paths."""
        pictures = {"image": self.image, "style": self.style}
        return {key: Path(picture).absolute() for key, picture in pictures.items() if picture is not None}

    @property
    def picture(self) -> Picture:
        """The prepared picture. Raises BadInput where there is none or it cannot be used."""
        if self.image is None:
            raise BadInput("this recipe needs a picture", place="inputs.image", remedy="add inputs.image=photo.png")
        if self._picture is None:
            self._picture = Picture.open(Path(self.image))
        return self._picture

    @property
    def style_picture(self) -> Image.Image:
        """The whole picture of the style, RGBA. Raises BadInput where there is none or it cannot be read."""
        if self.style is None:
            remedy = "add inputs.style=picture.png, or set the prior's style to null"
            raise BadInput("this recipe needs a picture of a style", place="inputs.style", remedy=remedy)
        if self._style is None:
            self._style = read_rgba(Path(self.style))
        return self._style

    def reference(self, size: int = 256) -> Cameras | None:
        """The camera of the picture: azimuth 0 by definition."""
        if self.image is None:
            return None
        elevation, fov = math.radians(self.elevation_deg), math.radians(self.fov_deg)
        return Cameras.orbit(0.0, elevation, self.radius, fov, size)


def _located(picture: str | None, recipe: Path, place: str) -> str | None:
    try:
        if picture and not Path(picture).exists() and (beside := recipe.parent.parent / picture).is_file():
            return str(beside)
    except OSError as error:
        remedy = "give the path of a picture, such as photo.png"
        raise BadInput(f"is no file: {error.strerror}", place=place, remedy=remedy) from error
    return picture
