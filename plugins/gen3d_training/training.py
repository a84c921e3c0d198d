"""The state of a training, and one step of it."""

import math
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gen3d import rng
from gen3d.checkpoint import load_checkpoint, save_checkpoint
from gen3d.errors import BadInput
from gen3d_training.ema import Ema
from gen3d_training.options import TrainOptions
from gen3d_training.parallel import average_gradients, rank, world


@runtime_checkable
class Trainee(Protocol):
    """What a prior's class offers for training as its attribute `trainee`: a module whose keywords are recipe keys."""

    @property
    def picture_size(self) -> int:
        """Side of the pictures it is trained on, pixels."""

    def named_parameters(self) -> Iterable[tuple[str, nn.Parameter]]:
        """All that is trained."""

    def __call__(self, *batch: Any) -> Tensor:
        """The loss on a batch that `Samples` drew, whose last member is the generator of its noise.

        Pairs: `sources, pictures, targets, images` (cameras, and sRGB in [0, 1]), of making images from pictures.
        Captioned views, for a `Reader`: `cameras, images, captions`, of making images from captions.
        """

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by the names that `rates` uses."""

    def save(self, folder: Path, **about: Any) -> None:
        """Write weights that the prior loads by the name of the folder."""


@runtime_checkable
class Reader(Trainee, Protocol):
    """A trainee of captioned views."""

    def read(self, words: Sequence[str]) -> None:
        """Take the words of all captions, before anything else."""


@runtime_checkable
class Samples(Protocol):
    """What batches are drawn from."""

    def draw(self, count: int, rng: torch.Generator) -> tuple[Any, ...]:
        """What the trainee is called with, but for the generator."""


class Training:
    """What is trained, its optimizer, its mean.

    Args:
        trainee: the module.
        options: the recipe.
    """

    def __init__(self, trainee: Trainee, options: TrainOptions) -> None:
        self.trainee, self.options, self.step = trainee, options, 0
        groups = trainee.param_groups()
        if unknown := set(options.rates) - set(groups):
            raise BadInput(f"no parameters {unknown.pop()!r}", place="rates", remedy=f"there are {', '.join(groups)}")
        rates = [{"params": group, "rate": options.rates.get(name, 1.0)} for name, group in groups.items()]
        self.optimizer = torch.optim.AdamW(rates, lr=options.lr, weight_decay=options.weight_decay, fused=True)
        self.ema = Ema(dict(trainee.named_parameters()), options.ema)

    @property
    def weights(self) -> Path:
        """Folder of the averaged weights."""
        return self.options.output / "weights"

    def advance(self, samples: Samples) -> float:
        """One optimizer step; the loss. Batches and noise are functions of the seed, the step and the process."""
        options, draw = self.options, rng.generator(self.options.seed, "train", self.step, rank())
        batch = samples.draw(options.batch // world(), draw)
        self.optimizer.zero_grad(set_to_none=True)
        with sdpa_kernel(SDPBackend.MATH):  # on a CPU, flash attention's backward takes a quarter of a step
            with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
                loss = self.trainee(*batch, draw)
            loss.backward()
        average_gradients(self.ema.parameters.values())
        nn.utils.clip_grad_norm_(self.ema.parameters.values(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = options.lr * group["rate"] * self.rate()
        with _uninterrupted():
            self.optimizer.step()
            self.ema.update()
            self.step += 1
        return float(loss.detach())

    def rate(self) -> float:
        """The share of `lr` at this step: linear warm-up, constant, half a cosine to 0 over the last share of steps."""
        options = self.options
        left = (options.steps - self.step) / (options.steps * options.decay_share)
        return min(1.0, (self.step + 1) / options.warmup) * 0.5 * (1 - math.cos(math.pi * min(1.0, left)))

    def save(self) -> None:
        """Write what is needed to go on, then the mean as weights that a prior can load at once."""
        if rank() > 0:
            return
        state = {"step": self.step, "updates": self.ema.updates, "mean": self.ema.mean}
        state |= {"trainee": dict(self.trainee.named_parameters()), "optimizer": self.optimizer.state_dict()}
        save_checkpoint(self.options.output / "state.safetensors", state)
        with self.ema.applied():
            self.trainee.save(self.weights, trained_steps=self.step)

    def load(self) -> None:
        """Go on where `save` was called last; from the start where it never was."""
        path = self.options.output / "state.safetensors"
        if not path.exists():
            return
        state = load_checkpoint(path)
        parameters = dict(self.trainee.named_parameters())
        shapes = {name: value.shape for name, value in state["trainee"].items()}
        if shapes != {name: value.shape for name, value in parameters.items()}:
            remedy = "give another output, or the keys it was begun with"
            raise BadInput("holds a training of another network", place=str(path), remedy=remedy)
        self.step, self.ema.updates = state["step"], state["updates"]
        for mine, theirs in ((parameters, state["trainee"]), (self.ema.mean, state["mean"])):
            for name, value in theirs.items():
                mine[name].data.copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, moments in self.optimizer.state.items():  # the fused kernel wants them laid out as the parameter
            for name, moment in moments.items():
                if moment.shape == parameter.shape:
                    moments[name] = torch.empty_like(parameter).copy_(moment)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals wait, so that no state is saved that is half one step's and half the next one's."""
    waiting: list[tuple[int, FrameType | None]] = []
    before: dict[signal.Signals, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, lambda *call: waiting.append(call))
    except ValueError:  # not the main thread, where no signal arrives
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if waiting:
        raise KeyboardInterrupt
