"""docs/conventions.md: every line names a test that guards it, and here are those that are about values."""

import ast
import functools
import math
import re
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError
from PIL import Image

from gen3d.cameras import Cameras
from gen3d.checkpoint import write_atomically
from gen3d.cli import guarded, main
from gen3d.diffusion import NoiseSchedule
from gen3d.errors import BadInput, Degenerate, Gen3dError, OutOfMemory, Unavailable, Unsupported
from gen3d.inputs import Inputs
from gen3d.part import Step
from gen3d.picture import RATIO, Picture
from gen3d.representation import RadianceField
from gen3d.testing import GaussianPrior, ToyField, toy_cameras, toy_stage
from gen3d_export.frame import to_gltf
from gen3d_optimizers.adam import Adam
from gen3d_volume.volume import Volume
from gen3d_voxel.voxel import Voxel

ROOT = Path(__file__).parents[2]


def lines() -> list[str]:
    text = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
    return [" ".join(item.split()) for item in re.findall(r"^- .*(?:\n  .*)*", text, re.MULTILINE)]


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# The page


@pytest.mark.parametrize("line", lines(), ids=lambda line: line[2:50])
def test_every_line_names_tests_that_exist(line: str) -> None:
    guards = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", line.partition("Guard: ")[2])
    assert guards, "add `Guard: `tests/...py::test_...``"
    for path, name in guards:
        functions = {node.name for node in ast.walk(parsed(ROOT / path)) if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{path} has no {name}"


# Shapes


def test_a_wrong_shape_is_caught() -> None:
    schedule, latents = NoiseSchedule.scaled_linear(), torch.zeros(2, 4, 8, 8)
    with pytest.raises(TypeCheckError):
        schedule.add_noise(latents, latents, torch.zeros(3, dtype=torch.long))  # two views, three timesteps
    with pytest.raises(TypeCheckError):
        Cameras(torch.eye(4).expand(2, 4, 4), torch.ones(3), 8, 8)


# Images


def test_a_prepared_picture_is_float32_srgb_channels_last(tmp_path: Path) -> None:
    pixels = Image.new("RGBA", (40, 60), (0, 0, 0, 0))
    pixels.paste((255, 128, 0, 255), (10, 10, 30, 50))
    pixels.save(tmp_path / "box.png")
    picture = Picture.open(tmp_path / "box.png", size=100)
    assert picture.image.shape == (100, 100, 3)
    assert picture.alpha.shape == (100, 100, 1)
    assert picture.image.dtype == picture.alpha.dtype == torch.float32
    assert (float(picture.image.min()), float(picture.image.max())) == pytest.approx((0.0, 1.0))
    assert picture.image[50, 50].tolist() == pytest.approx([1.0, 128 / 255, 0.0])  # sRGB as stored, not made linear


# Space


def test_a_prepared_picture_shows_the_object_from_1_4() -> None:
    seen = 2 * 1.4 * math.tan(math.radians(49.1) / 2)  # of the plane through the origin
    assert 1 / seen == pytest.approx(RATIO, abs=0.005)
    assert (Inputs().radius, Inputs().fov_deg) == (1.4, 49.1)


@pytest.mark.parametrize("field", [Voxel(resolution=4, channels="rgb", box=0.5), ToyField()], ids=["voxel", "toy"])
def test_fields_are_empty_outside_their_box(field: RadianceField) -> None:
    low, high = field.box
    assert (high > low).all()
    outside = torch.cat([low + (high - low) * torch.tensor([[1.01, 0.5, 0.5], [0.5, -0.01, 0.5], [2.0, 2.0, 2.0]])])
    assert field.density(outside).tolist() == [0.0] * 3
    assert field.density((low + high)[None] / 2).item() > 0


# Front


def test_the_pictured_side_is_azimuth_0_and_faces_z_in_files() -> None:
    camera = Inputs(image="photo.png", elevation_deg=0).reference()
    assert camera is not None
    assert camera.azimuth.item() == 0
    assert camera.position[0].tolist() == pytest.approx([1.4, 0, 0])
    assert to_gltf(camera.position[0].numpy()).tolist() == pytest.approx([0, 0, 1.4])


def test_elevation_raises_the_camera_and_leaves_the_object_upright() -> None:
    camera = Inputs(image="photo.png", elevation_deg=30).reference()
    assert camera is not None
    assert camera.position[0].tolist() == pytest.approx([1.4 * math.cos(math.pi / 6), 0, 0.7])
    right, up = camera.c2w[0, :3, 0], camera.c2w[0, :3, 1]
    assert right[2].item() == pytest.approx(0)  # the horizon is level
    assert up[2].item() == pytest.approx(math.cos(math.pi / 6))  # +Z points upwards in the picture


# Diffusion


def test_priors_predict_epsilon_unmixed() -> None:
    prior = GaussianPrior(mean=1.0, std=0.5, null_mean=0.0, null_std=1.0)
    noise = torch.full((1, 3, 2, 2), 0.3)
    t = torch.tensor([999])
    noisy = prior.schedule.add_noise(torch.ones(1, 3, 2, 2), noise, t)
    predicted = prior.predict(noisy, t, prior.condition(toy_cameras()), ("conditional", "unconditional"))
    assert {name: value.dtype for name, value in predicted.items()} == {
        "conditional": torch.float32,
        "unconditional": torch.float32,
    }
    alpha, sigma = prior.schedule.alpha(t).item(), prior.schedule.sigma(t).item()
    own = {"conditional": (alpha, 0.25), "unconditional": (0.0, 1.0)}
    for name, (mean, variance) in own.items():  # each of its own distribution: E[eps | x_t] = sigma (x_t - mean) / v
        expected = sigma * (noisy - mean) / (alpha**2 * variance + sigma**2)
        torch.testing.assert_close(predicted[name], expected)


# Precision


def test_a_rendered_and_optimised_field_is_float32() -> None:
    field, renderer, optimizer = Voxel(resolution=4, channels="rgb"), Volume(), Adam(lr=0.1)
    stage = toy_stage({})
    stage.representation, stage.renderer = field, renderer
    field.bind(stage)
    renderer.bind(stage)
    optimizer.bind(field.param_groups())
    views = renderer(field, toy_cameras(), Step(0, 1), frozenset({"image"}))
    assert optimizer.step(views.image.mean() + views.depth.mean(), Step(0, 1))
    tensors = [views.cameras.c2w, views.image, views.alpha, views.depth, *field.parameters(), field.box]
    moments = [value for state in optimizer.state_dict().values() for value in state.values()]
    assert len(moments) > 3
    assert {tensor.dtype for tensor in (*tensors, *moments)} == {torch.float32}


# Errors


def test_an_error_says_where_what_and_how_to_put_it_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("gen3d: 1\nsteps: 3\nrenderr: {type: volume}\n")
    with pytest.raises(SystemExit) as ended:
        main(["run", str(recipe)])
    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert "Traceback" not in shown
    first, second = shown.splitlines()
    assert first == f"error: {recipe}:3: renderr: unknown key 'renderr'"
    assert second.startswith("  did you mean 'renderer'?")


@pytest.mark.parametrize(
    ("error", "code"),
    [(BadInput, 2), (Unsupported, 2), (Unavailable, 3), (OutOfMemory, 4), (Degenerate, 5), (KeyboardInterrupt, 130)],
)
def test_exit_codes(error: type[BaseException], code: int) -> None:
    def fail() -> None:
        raise error("why")

    assert guarded(fail) == code
    assert guarded(lambda: None) == 0


def test_a_message_has_its_parts_in_order() -> None:
    error = Gen3dError("is too small", place="photo.png", remedy="take a larger one")
    assert str(error) == "photo.png: is too small\n  take a larger one"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder" / "run.json"
    write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="full"):
            write_atomically(path, b"new")
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
