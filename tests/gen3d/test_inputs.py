"""What a run is given."""

import math
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from gen3d.errors import BadInput
from gen3d.inputs import Inputs


def draw(path: Path) -> Path:
    """A red block on white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).rectangle((16, 24, 47, 39), fill="red")
    image.save(path)
    return path


def test_the_picture_is_read_once_and_its_camera_is_at_azimuth_0(tmp_path: Path) -> None:
    inputs = Inputs(str(draw(tmp_path / "p.png")), elevation_deg=20)
    assert inputs.picture is inputs.picture
    camera = inputs.reference(32)
    assert camera is not None
    assert (camera.height, camera.width) == (32, 32)
    assert camera.azimuth.item() == pytest.approx(0)
    assert camera.elevation.rad2deg().item() == pytest.approx(20, abs=1e-4)
    assert camera.radius.item() == pytest.approx(1.4)
    assert camera.fov.item() == pytest.approx(math.radians(49.1))


def test_without_a_picture_there_is_no_camera_and_asking_for_it_says_how_to_give_one() -> None:
    assert Inputs(prompt="a chair").reference() is None
    with pytest.raises(BadInput, match=r"inputs.image: .*needs a picture\n  add inputs.image=photo.png"):
        _ = Inputs().picture


def test_a_shipped_recipes_picture_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "product" / "examples" / "barrel.png")
    recipe = tmp_path / "product" / "recipes" / "r.yaml"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    inputs = Inputs("examples/barrel.png")
    inputs.locate(recipe)
    assert inputs.picture.alpha.max() == 1
    draw(tmp_path / "elsewhere" / "examples" / "barrel.png")  # a person's own comes first
    own = Inputs("examples/barrel.png")
    own.locate(recipe)
    assert own.image == "examples/barrel.png"


@pytest.mark.parametrize("keys", [{"elevation_deg": 91}, {"radius": 0}, {"fov_deg": 180}, {"radius": float("nan")}])
def test_impossible_cameras_are_refused(keys: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=f"{next(iter(keys))} is .*(.|\n)*it lies between"):
        Inputs(**keys)  # type: ignore[arg-type]


def test_a_style_is_a_whole_picture_found_and_read_likewise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "product" / "examples" / "waves.png")
    monkeypatch.chdir(tmp_path)
    inputs = Inputs(style="examples/waves.png")
    inputs.locate(tmp_path / "product" / "recipes" / "r.yaml")
    inputs.read()
    assert (inputs.style_picture.size, inputs.style_picture.mode) == ((64, 64), "RGBA")
    assert inputs.style_picture is inputs.style_picture
    with pytest.raises(BadInput, match=r"inputs\.style: .*\n  add inputs\.style=picture\.png"):
        _ = Inputs().style_picture
    with pytest.raises(BadInput, match=r"nowhere\.png: there is no such file"):
        Inputs(style="nowhere.png").read()
    with pytest.raises(BadInput, match=r"inputs\.style: is no file"):
        Inputs(style="x" * 5000).locate(tmp_path / "r.yaml")
