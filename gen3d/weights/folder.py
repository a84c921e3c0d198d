"""Write and read what a folder of weights holds beside its networks' tensors, and swap whole folders in."""

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from safetensors.torch import save_file
from torch import nn

from gen3d.diffusion import NoiseSchedule, PredictionType
from gen3d.errors import BadInput
from gen3d.weights.files import read_config

WEIGHTS = "diffusion_pytorch_model.safetensors"
"""The file of one network's tensors."""


@dataclass(frozen=True)
class Diffusion:
    """What `scheduler/scheduler_config.json` says.

    Args:
        prediction: what the network's output is.
        beta_start: of the scaled-linear schedule.
        beta_end: of the scaled-linear schedule.
        timesteps: of the schedule.
    """

    prediction: PredictionType = "epsilon"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    timesteps: int = 1000

    def schedule(self) -> NoiseSchedule:
        """The noise schedule."""
        return NoiseSchedule.scaled_linear(self.beta_start, self.beta_end, self.timesteps)

    @classmethod
    def read(cls, folder: Path) -> "Diffusion":
        """From the folder `scheduler`. Raises BadInput where it names what is not known."""
        config = read_config(folder, "scheduler_config.json")
        shape = config.get("beta_schedule", "scaled_linear")
        if shape != "scaled_linear":
            raise BadInput(f"beta_schedule {shape!r} is not known", place=str(folder), remedy="it is scaled_linear")
        prediction = config.get("prediction_type", "epsilon")
        if prediction not in ("epsilon", "v_prediction", "sample"):
            cause = f"prediction_type {prediction!r} is not known"
            raise BadInput(cause, place=str(folder), remedy="epsilon is usual")
        names = {"beta_start": cls.beta_start, "beta_end": cls.beta_end, "num_train_timesteps": cls.timesteps}
        return cls(prediction, *(config.get(name, default) for name, default in names.items()))

    def write(self, folder: Path) -> None:
        """As the folder `scheduler`."""
        scheduler = DDIMScheduler(
            beta_start=self.beta_start,
            beta_end=self.beta_end,
            beta_schedule="scaled_linear",
            num_train_timesteps=self.timesteps,
            prediction_type=self.prediction,
            steps_offset=1,
            set_alpha_to_one=False,
            clip_sample=False,
        )
        scheduler.save_pretrained(folder)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, swapped in when the block is done, so that no reader finds half of one."""
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir(parents=True)
    try:
        yield draft
    except BaseException:
        shutil.rmtree(draft)
        raise
    for file in draft.rglob("*.safetensors"):
        file.chmod(0o644)  # safetensors lets nobody else read what it writes
    if folder.exists():
        old = draft.with_name(f"{draft.name}.old")
        folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old)
    else:
        draft.rename(folder)


def write_tensors(network: nn.Module, folder: Path, dtype: torch.dtype | None = None, prefix: str = "") -> None:
    """A network's tensors, their names prefixed, as the one file of a folder; in their own precision if in no other."""
    folder.mkdir(exist_ok=True)
    state = {
        f"{prefix}{name}": value.to(dtype or value.dtype).contiguous() for name, value in network.state_dict().items()
    }
    save_file(state, folder / WEIGHTS)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """A JSON map as a file."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
