"""Train a prior on rendered objects: interrupted, it goes on where it was."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gen3d.build import build
from gen3d.config import Config, load_yaml, override, parse_override, resolve_references
from gen3d.errors import BadInput
from gen3d.plugins import installed
from gen3d.recipe import find
from gen3d_training import parallel
from gen3d_training.captioned import CaptionedViews
from gen3d_training.captions import Captions
from gen3d_training.dataset import ViewDataset
from gen3d_training.figures import of_captions, of_pairs
from gen3d_training.holdout import held_out
from gen3d_training.options import TrainOptions
from gen3d_training.pairs import Pairs
from gen3d_training.training import Reader, Samples, Trainee, Training

_KEYS = ("gen3d", "prior")
"""Recipe keys beside those of TrainOptions."""


def train(recipe: str | Path, overrides: Iterable[str] = ()) -> Path:
    """Train what a recipe describes, and print its figures on the held-out objects.

    Args:
        recipe: a file, or the name of a shipped one; its keys are TrainOptions and `prior`.
        overrides: "key=value".

    Returns:
        The folder of the trained weights.

    Raises:
        BadInput: naming file, line and key of what is wrong.
    """
    config = read(recipe, overrides)
    options, _, _ = parts(config)
    if options.workers > options.batch:
        raise config.error(("workers",), f"{options.workers} share {options.batch} pairs", "use a larger batch")
    parallel.run(partial(_work, config), options.workers)
    return options.output / "weights"


def read(recipe: str | Path, overrides: Iterable[str] = ()) -> Config:
    """A recipe with its overrides."""
    config = load_yaml(find(recipe))
    for text in overrides:
        config = config.merged(override(*parse_override(text)))
    return resolve_references(config)


def parts(config: Config) -> tuple[TrainOptions, type[Any], Trainee]:
    """The options, the prior's class and what is trained: checked, with initial weights."""
    registry, keys = installed().registry, dict(config.values)
    keys = {key: value for key, value in keys.items() if key not in _KEYS}
    options: TrainOptions = build(TrainOptions, keys, config, (), registry, reserved=_KEYS)
    chosen = config.values.get("prior")
    if not isinstance(chosen, dict) or "type" not in chosen:
        raise config.error(("prior",), "a prior is a map with a `type`", "write {type: NAME, ...}")
    prior = registry.component("prior", str(chosen["type"]), config.place(("prior", "type"))).load()
    if not hasattr(prior, "trainee"):
        raise config.error(
            ("prior", "type"), f"prior {chosen['type']!r} cannot be trained", "zero123 and stable_diffusion can"
        )
    keys = {key: value for key, value in chosen.items() if key != "type"}
    trainee: Trainee = build(prior.trainee, keys, config, ("prior",), registry, reserved=("type",))
    return options, prior, trainee


def _work(config: Config) -> None:
    """One process of a training."""
    options, prior, trainee = parts(config)
    dataset = ViewDataset.open(options.dataset)
    seen, unseen = _split(dataset, options)
    if dataset.pictures.shape[2] != trainee.picture_size:
        cause = (
            f"its pictures are {dataset.pictures.shape[2]} pixels wide, and the prior works on {trainee.picture_size}"
        )
        raise BadInput(
            cause, place=str(options.dataset), remedy="render it again with --size, or change the prior's keys"
        )
    samples: Samples = Pairs(seen)
    if isinstance(trainee, Reader):
        captions = Captions(seen.names)
        trainee.read(captions.words)
        samples = CaptionedViews(seen, captions)
    training = Training(trainee, options)
    training.load()
    _loop(training, samples)
    if parallel.rank() == 0:
        trained = prior(weights=str(training.weights))
        if isinstance(trainee, Reader):
            figures = of_captions(trained, unseen if len(unseen) else seen, options)
        else:
            figures = of_pairs(trained, unseen, options) if len(unseen) else {}
        _log(options.output, {"step": training.step, **figures})


def _split(dataset: ViewDataset, options: TrainOptions) -> tuple[ViewDataset, ViewDataset]:
    """Objects to train on, and those that are held out."""
    out = held_out(dataset.names, options.holdout_packs)
    keep, rest = ([i for i, is_out in enumerate(out) if is_out is wanted] for wanted in (False, True))
    if not keep:
        raise BadInput("nothing is left to train on", place="holdout_packs", remedy="hold out fewer packs")
    return dataset.subset(keep) if rest else dataset, dataset.subset(rest)  # a whole copy would only take memory


def _loop(training: Training, samples: Samples) -> None:
    """Train until `steps`, saving every so often and at the end, be it Ctrl-C."""
    options, losses = training.options, []
    options.output.mkdir(parents=True, exist_ok=True)
    saved = started = time.monotonic()
    try:
        with _progress(options.steps, training.step) as advance:
            while training.step < options.steps:
                losses.append(training.advance(samples))
                advance(losses[-1])
                if training.step % options.log_every == 0:
                    speed = len(losses) * options.batch / (time.monotonic() - started)
                    loss = round(sum(losses) / len(losses), 5)
                    _log(options.output, {"step": training.step, "loss": loss, "samples_per_s": round(speed, 1)})
                    losses, started = [], time.monotonic()
                if time.monotonic() - saved > options.save_every_s:
                    training.save()
                    saved = time.monotonic()
    finally:
        training.save()


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[float], None]]:
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[loss]}"), disable=parallel.rank() > 0) as bar:
        task = bar.add_task("training", total=total, completed=done, loss="")
        yield lambda loss: bar.update(task, advance=1, loss=f"loss {loss:.4f}")


def _log(output: Path, entry: dict[str, Any]) -> None:
    if parallel.rank() == 0:
        with (output / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")
