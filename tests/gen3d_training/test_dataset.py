"""Rendered views in memory, what is held out of them, and the pairs drawn."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gen3d.errors import BadInput
from gen3d_training.dataset import ViewDataset
from gen3d_training.holdout import held_out, stem
from gen3d_training.pairs import draw_pairs
from small_views import VIEWS, write_views


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_views(tmp_path_factory.mktemp("views"), ["a/Crate_1", "a/tree", "b/chair"])


def test_pictures_and_poses_are_those_of_the_files(folder: Path) -> None:
    for dataset in (ViewDataset.open(folder), ViewDataset.open(folder)):  # read, then from the packed file
        assert dataset.names == ("a/Crate_1", "a/tree", "b/chair")
        table = json.loads((folder / "b/chair" / "views.json").read_text())["views"][3]
        picture = np.asarray(Image.open(folder / "b/chair" / table["file"]))
        assert np.array_equal(dataset.pictures[2, 3].numpy(), picture)
        camera = dataset.cameras(torch.tensor([2]), torch.tensor([3]))
        assert math.isclose(float(camera.elevation), math.radians(table["elevation_deg"]), abs_tol=1e-6)
        assert math.isclose(float(camera.radius), table["radius"], rel_tol=1e-6)
        turn = (float(camera.azimuth) - math.radians(table["azimuth_deg"])) / math.tau
        assert math.isclose(turn, round(turn), abs_tol=1e-6)
    assert (folder / "views.npz").exists()


def test_a_subset_keeps_pictures_with_their_names(folder: Path) -> None:
    dataset = ViewDataset.open(folder)
    part = dataset.subset([2, 0])
    assert part.names == ("b/chair", "a/Crate_1")
    assert torch.equal(part.pictures, dataset.pictures[[2, 0]])
    assert torch.equal(part.azimuth, dataset.azimuth[[2, 0]])
    assert len(dataset.subset([])) == 0


def test_transparent_pixels_are_white(folder: Path) -> None:
    dataset = ViewDataset.open(folder)
    rows = torch.tensor([0])
    rgba, image = dataset.pictures[0, 1], dataset.images(rows, torch.tensor([1]))[0]
    assert (image[rgba[..., 3] == 0] == 1).all()
    torch.testing.assert_close(image[rgba[..., 3] == 255], rgba[rgba[..., 3] == 255][:, :3] / 255)


def test_no_dataset_and_a_torn_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"index\.json.*\n.*render-dataset"):
        ViewDataset.open(tmp_path)
    write_views(tmp_path, ["a/x", "a/y"])
    table = tmp_path / "a/y/views.json"
    table.write_text(json.dumps(json.loads(table.read_text()) | {"views": []}))
    with pytest.raises(BadInput, match="number of views"):
        ViewDataset.open(tmp_path)


def test_stems() -> None:
    assert stem("quaternius/survival_pack/WaterBottle_2b") == ("water", "bottle")
    assert stem("kaykit/furniture_bits/chair_A") == stem("x/Chair3") == ("chair",)


def test_held_out_are_whole_packs_and_what_is_named_alike() -> None:
    names = ["p/Barrel_A", "p/chair_small", "q/barrel_large", "q/Barrels", "q/chair", "q/chair_small_2", "q/tree"]
    assert held_out(names, ["p"]) == [True, True, True, False, False, True, False]
    assert held_out(names, []) == [False] * 7


def test_pairs_show_one_object_from_two_sides_where_the_cameras_say(folder: Path) -> None:
    dataset = ViewDataset.open(folder)
    sources, pictures, targets, images = draw_pairs(dataset, 400, torch.Generator().manual_seed(0))
    assert not torch.isclose(sources.c2w, targets.c2w).all(dim=2).all(dim=1).any()
    known = dataset.cameras(torch.arange(3).repeat_interleave(VIEWS), torch.arange(VIEWS).repeat(3))
    mirrored = torch.tensor([1.0, -1, 1])
    plain = 0
    for i in range(400):
        for cameras, shown in ((sources, pictures), (targets, images)):
            straight = (known.position - cameras.position[i]).norm(dim=1)
            flipped = (known.position * mirrored - cameras.position[i]).norm(dim=1)
            row = int(torch.minimum(straight, flipped).argmin())
            image = dataset.images(torch.tensor([row // VIEWS]), torch.tensor([row % VIEWS]))[0]
            image = image if straight[row] < flipped[row] else image.flip(1)
            white = (image == 1).all(dim=-1)
            assert (shown[i][white] == 1).all(), "white stays white, mirrored as the camera says"
            plain += bool(torch.isclose(shown[i], image, atol=1e-6).all())
    assert 300 < plain < 500  # of 800


def test_most_pictured_views_are_from_eye_level() -> None:
    elevation = torch.linspace(-math.pi / 2, math.pi / 2, 24)[None]
    pictures = torch.zeros(1, 24, 8, 8, 4, dtype=torch.uint8)
    dataset = ViewDataset(("x",), pictures, elevation * 0, elevation, elevation * 0 + 2, 0.857)
    sources, _, targets, _ = draw_pairs(dataset, 3000, torch.Generator().manual_seed(0))

    def share(angles: torch.Tensor) -> float:
        return float(((angles > math.radians(-15)) & (angles < math.radians(50))).float().mean())

    assert math.isclose(share(sources.elevation), 0.7 + 0.3 * share(elevation), abs_tol=0.03)
    assert share(targets.elevation) < share(elevation) + 0.03


def test_pairs_are_a_function_of_their_generator(folder: Path) -> None:
    dataset = ViewDataset.open(folder)
    one, two = (draw_pairs(dataset, 8, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one[1], two[1])
    assert torch.equal(one[3], two[3])
