"""What a training recipe says."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    Args:
        dataset: folder that `gen3d render-dataset` wrote.
        output: folder of the training: its state, figures and weights.
        steps: optimizer steps in all.
        batch: pairs of views a step.
        lr: AdamW's, at its highest.
        rates: factors of `lr` by parameter group.
        warmup: steps of linear warm-up.
        decay_share: share of the steps, at the end, over which the rate falls to 0.
        weight_decay: AdamW's.
        ema: decay of the mean of all parameters, which is what is saved as weights.
        holdout_packs: packs that are not trained on, nor any object elsewhere that is named like one of theirs.
        precision: of matrix products; weights and their updates are float32.
        seed: of batches, noise and initial weights.
        save_every_s: seconds between saves.
        log_every: steps between lines of metrics.jsonl.
        workers: processes of one thread that share each batch.
        validate_objects: held-out objects that the figures at the end are taken on.
        validate_cfg_scale: guidance scale of the views made for them.
        validate_sampling_steps: of the sampler, for each view.
    """

    dataset: Path
    output: Path
    steps: int
    batch: int = 64
    lr: float = 4e-4
    rates: dict[str, float] = field(default_factory=dict)
    warmup: int = 200
    decay_share: float = 0.5
    weight_decay: float = 0.01
    ema: float = 0.998
    holdout_packs: tuple[str, ...] = ()
    precision: Literal["bf16", "float32"] = "bf16"
    seed: int = 0
    save_every_s: float = 150
    log_every: int = 20
    workers: int = 1
    validate_objects: int = 32
    validate_cfg_scale: float = 2.0
    validate_sampling_steps: int = 20
