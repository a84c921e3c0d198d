"""Training a text prior from a recipe: with its vocabulary, its figures and its pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gen3d.errors import BadInput
from gen3d_stable_diffusion.prior import StableDiffusion
from gen3d_training.captioned import CaptionedViews
from gen3d_training.captions import Captions
from gen3d_training.dataset import ViewDataset
from gen3d_training.text_views import NOISE, text_views
from gen3d_training.train import parts, read, train
from gen3d_training.training import Training
from small_views import write_views

RECIPE = """\
gen3d: 1
dataset: {views}
output: {output}
prior: {{type: stable_diffusion, size: 16, channels: [32, 32], words: 32, depth: 1}}
steps: 3
batch: 4
lr: 0.001
precision: float32
log_every: 3
validate_objects: 4
validate_sampling_steps: 2
"""
NAMES = [*(f"p/crate_{letter}" for letter in "abc"), *(f"p/tree_{letter}" for letter in "abc")]


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_views(tmp_path_factory.mktemp("views"), NAMES)


@pytest.fixture
def recipe(views: Path, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(views=views, output=tmp_path / "out"))
    return path


def test_a_recipe_trains_weights_that_know_its_words(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = train(recipe)
    printed = capsys.readouterr().out
    assert "squared error of clean estimates of 4 views" in printed
    assert all(told in printed for told in ("text and camera", "another's text", "another camera", "nothing"))
    last = json.loads((weights.parent / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 3
    assert all(len(row) == len(NOISE) and np.isfinite(row).all() for row in last["errors"].values())
    sheet = np.asarray(Image.open(weights.parent / "words.png"))
    assert sheet.shape == (2 * 16, 4 * 16, 3)
    prior = StableDiffusion(weights=str(weights))
    prior.load()
    assert prior._parts()[0].unknown("a red tree on a crate, back view") == []
    assert prior._parts()[0].unknown("a red dragon") == ["dragon"]


def test_going_on_is_the_same_as_never_stopping(recipe: Path, tmp_path: Path) -> None:
    def begin(output: str) -> tuple[Training, CaptionedViews]:
        options, _, trainee = parts(read(recipe, [f"output={tmp_path / output}"]))
        dataset = ViewDataset.open(options.dataset)
        captions = Captions(dataset.names)
        trainee.read(captions.words)
        return Training(trainee, options), CaptionedViews(dataset, captions)

    whole, samples = begin("one")
    losses = [whole.advance(samples) for _ in range(3)]
    first, _ = begin("two")
    parted = [first.advance(samples)]
    first.save()
    second, _ = begin("two")
    second.load()
    parted += [second.advance(samples) for _ in range(2)]
    assert parted == losses
    for name, value in whole.trainee.named_parameters():
        assert torch.equal(value, dict(second.trainee.named_parameters())[name]), name


def _plain(names: list[str]) -> ViewDataset:
    """Crates are red all over and trees are blue, from wherever they are seen."""
    pictures = torch.full((len(names), 8, 16, 16, 4), 255, dtype=torch.uint8)
    for index, name in enumerate(names):
        pictures[index, ..., :3] = torch.tensor([200, 20, 20] if "crate" in name else [20, 60, 200], dtype=torch.uint8)
    angles = torch.linspace(-1, 1, 8).expand(len(names), 8)
    return ViewDataset(tuple(names), pictures, angles * 3, angles, angles * 0 + 1.8, 0.857)


def test_it_learns_to_heed_the_text(recipe: Path, tmp_path: Path) -> None:
    options, _, trainee = parts(read(recipe, ["steps=40", "batch=8", "lr=0.005", "warmup=2", "ema=0.8"]))
    dataset = _plain(NAMES)
    captions = Captions(dataset.names)
    trainee.read(captions.words)
    training, samples = Training(trainee, options), CaptionedViews(dataset, captions)
    for _ in range(options.steps):
        training.advance(samples)
    training.save()
    prior = StableDiffusion(weights=str(training.weights))
    prior.load()
    late = {told: row[-1] for told, row in text_views(prior, dataset, captions).items()}
    assert late["text and camera"] < 0.5 * late["another's text"]
    assert late["text and camera"] < 0.8 * late["nothing"]


def test_too_small_a_vocabulary_is_said(recipe: Path) -> None:
    with pytest.raises(BadInput, match=r"prior\.words: .* there is room for 12"):
        train(recipe, ["prior.words=12"])


def test_the_shipped_recipe_is_valid_and_fits() -> None:
    _, _, trainee = parts(read("recipes/train/text_mini.yaml"))
    assert trainee.picture_size == 64
    stored = 2 * sum(p.numel() for p in trainee.parameters())
    assert 20e6 < stored < 32e6
