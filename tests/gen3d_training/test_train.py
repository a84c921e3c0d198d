"""Training from a recipe: learns, resumes exactly, is interrupted safely, and says what is wrong with a recipe."""

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from gen3d.errors import BadInput
from gen3d_training import parallel
from gen3d_training.cli.train import train as command
from gen3d_training.dataset import ViewDataset
from gen3d_training.ema import Ema
from gen3d_training.novel_views import VIEWS, Figures, fixed_views
from gen3d_training.options import TrainOptions
from gen3d_training.pairs import Pairs
from gen3d_training.train import parts, read, train
from gen3d_training.training import Training
from small_views import write_views

RECIPE = """\
gen3d: 1
dataset: {views}
output: {output}
prior: {{type: zero123, size: 16, channels: [32, 32], drop: 0.05}}
steps: 4
batch: 4
lr: 0.001
rates: {{projection: 10}}
warmup: 2
holdout_packs: [held]
precision: float32
log_every: 2
validate_objects: 1
validate_sampling_steps: 2
"""


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_views(tmp_path_factory.mktemp("views"), ["a/crate", "a/tree", "a/barrel_2", "held/Barrel"])


@pytest.fixture
def recipe(views: Path, tmp_path: Path) -> Callable[..., Path]:
    def write(**replaced: str) -> Path:
        text = RECIPE.format(views=views, output=tmp_path / "out")
        for key, line in replaced.items():
            text = "\n".join(line if old.startswith(f"{key}:") else old for old in text.splitlines())
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return path

    return write


def _training(path: Path, *overrides: str) -> tuple[Training, Pairs]:
    options, _, trainee = parts(read(path, overrides))
    return Training(trainee, options), Pairs(ViewDataset.open(options.dataset))


def test_a_recipe_is_trained_printed_and_not_trained_twice(
    recipe: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe()
    weights = train(path)
    printed = capsys.readouterr().out
    assert "novel views of 1 held-out objects" in printed
    assert all(kind in printed for kind in ("one sample", "mean of samples", "input repeated", "mean color"))
    entries = [json.loads(line) for line in (weights.parent / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [2, 4, 4]
    assert all(math.isfinite(entry["loss"]) for entry in entries[:2])
    assert entries[2]["psnr"].keys() == {"one_sample", "mean_of_samples", "input_repeated", "mean_color"}
    before = (weights / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    train(path, ["validate_objects=0"])
    assert (weights / "unet" / "diffusion_pytorch_model.safetensors").read_bytes() == before


def test_going_on_is_the_same_as_never_stopping(recipe: Callable[..., Path], tmp_path: Path) -> None:
    path = recipe()
    whole, pairs = _training(path)
    losses = [whole.advance(pairs) for _ in range(4)]
    first, _ = _training(path, f"output={tmp_path / 'two'}")
    parted = [first.advance(pairs) for _ in range(2)]
    first.save()
    second, _ = _training(path, f"output={tmp_path / 'two'}")
    second.load()
    assert second.step == 2
    parted += [second.advance(pairs) for _ in range(2)]
    assert parted == losses
    for name, value in whole.trainee.named_parameters():
        assert torch.equal(value, dict(second.trainee.named_parameters())[name]), name
        assert torch.equal(whole.ema.mean[name], second.ema.mean[name]), name


def test_another_network_s_training_is_not_gone_on_with(recipe: Callable[..., Path]) -> None:
    training, _ = _training(recipe())
    training.save()
    other, _ = _training(recipe(), "prior.layers=2")
    with pytest.raises(BadInput, match="another network"):
        other.load()


def test_it_learns_what_it_is_shown(recipe: Callable[..., Path]) -> None:
    training, pairs = _training(recipe(), "steps=25", "lr=0.005", "decay_share=0.1")
    losses = [training.advance(pairs) for _ in range(25)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_the_rate_warms_up_holds_and_falls_to_nothing(recipe: Callable[..., Path]) -> None:
    training, _ = _training(recipe(), "steps=100", "warmup=10", "decay_share=0.5")
    rates = []
    for training.step in range(101):
        rates.append(training.rate())
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10:51] == [1.0] * 41
    assert rates[75] == pytest.approx(0.5)
    assert rates[100] == 0


@pytest.fixture
def _heard() -> Iterator[None]:
    """Ctrl-C is heard, which a shell's background jobs ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heard")
def test_an_interrupt_waits_for_the_step_and_is_saved(
    recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Ema.update

    def interrupted(self: Ema) -> None:
        if self.updates == 1:
            os.kill(os.getpid(), signal.SIGINT)
        update(self)

    monkeypatch.setattr(Ema, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(recipe())
    monkeypatch.undo()
    training, _ = _training(recipe())
    training.load()
    assert training.step == training.ema.updates == 2
    assert (tmp_path / "out" / "weights" / "model_index.json").exists()


def test_the_mean_is_of_every_parameter_and_forgets_the_start() -> None:
    parameter = nn.Parameter(torch.tensor([1.0]))
    ema, expected = Ema({"x": parameter}, 0.9), 1.0
    for step in range(1, 200):
        parameter.data.fill_(step)
        ema.update()
        keep = min(0.9, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * step
    assert float(ema.mean["x"]) == pytest.approx(expected, rel=1e-5)
    with ema.applied():
        assert float(parameter.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(parameter.detach()) == 199


def _meet(folder: Path) -> None:
    parameter = nn.Parameter(torch.zeros(2, 3))
    parameter.grad = torch.full((2, 3), 1.0 + parallel.rank())
    parallel.average_gradients([parameter, nn.Parameter(torch.zeros(1))])
    torch.save(parameter.grad, folder / f"{parallel.rank()}.pt")


def test_processes_share_their_gradients(tmp_path: Path) -> None:
    parallel.run(partial(_meet, tmp_path), 2)
    for rank in range(2):
        assert torch.equal(torch.load(tmp_path / f"{rank}.pt"), torch.full((2, 3), 1.5))


def _wait_to_be_stopped(folder: Path) -> None:
    try:
        (folder / f"{parallel.rank()}.begun").touch()
        time.sleep(60)
    except KeyboardInterrupt:
        (folder / f"{parallel.rank()}.saved").touch()


@pytest.mark.usefixtures("_heard")
def test_a_stop_of_the_first_process_lets_the_others_save(tmp_path: Path) -> None:
    def stop() -> None:
        while len(list(tmp_path.glob("*.begun"))) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=stop, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        parallel.run(partial(_wait_to_be_stopped, tmp_path), 2)
    assert len(list(tmp_path.glob("*.saved"))) == 2


def test_fixed_views_hold_the_farthest(views: Path) -> None:
    dataset = ViewDataset.open(views)
    source, targets = fixed_views(dataset, 0)
    assert len(set(targets.tolist()) | {source}) == VIEWS + 1
    assert abs(float(dataset.elevation[0, source]) - math.radians(20)) == pytest.approx(
        float((dataset.elevation[0] - math.radians(20)).abs().min())
    )
    rows = torch.zeros(14, dtype=torch.long)
    directions = torch.nn.functional.normalize(dataset.cameras(rows, torch.arange(14)).position, dim=1)
    cosines = directions @ directions[source]
    assert set(cosines.argsort()[:4].tolist()) <= set(targets.tolist())


def test_the_margin_is_over_the_better_baseline() -> None:
    psnr = {"one_sample": 15.0, "mean_of_samples": 17.0, "input_repeated": 14.0, "mean_color": 14.5}
    assert Figures(psnr, psnr, 3).margin == 2.5


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ({"batch": "bach: 4"}, ("recipe.yaml:6: bach", "did you mean 'batch'")),
        ({"prior": "prior: {type: zero321}"}, ("recipe.yaml:4: prior.type", "zero123")),
        ({"prior": "prior: {type: zero123, chanels: [32]}"}, ("recipe.yaml:4: prior.chanels", "mean 'channels'")),
        ({"prior": "prior: zero123"}, ("recipe.yaml:4: prior", "{type: NAME, ...}")),
        ({"steps": "steps: many"}, ("recipe.yaml:5: steps", "a whole number")),
        ({"rates": "rates: {projecton: 1}"}, ("projecton", "networks, projection")),
        ({"holdout_packs": "holdout_packs: [a, held]"}, ("holdout_packs", "nothing is left")),
        ({"prior": "prior: {type: zero123, size: 32, channels: [32, 32]}"}, ("16 pixels wide", "works on 32")),
        ({"dataset": "dataset: /nowhere"}, ("/nowhere", "render-dataset")),
    ],
)
def test_what_is_wrong_with_a_recipe(
    recipe: Callable[..., Path], replaced: dict[str, str], words: tuple[str, ...]
) -> None:
    with pytest.raises(BadInput) as caught:
        train(recipe(**replaced))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_shipped_recipe_is_valid() -> None:
    options, _, trainee = parts(read("recipes/train/zero123_mini.yaml"))
    assert isinstance(options, TrainOptions)
    assert trainee.picture_size == 64


def test_the_command_takes_overrides(recipe: Callable[..., Path], tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(recipe()), "steps=1", "validate_objects=0", f"output={tmp_path / 'other'}"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == str(tmp_path / "other" / "weights")
