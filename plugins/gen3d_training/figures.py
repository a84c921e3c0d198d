"""What a training prints when it is done: figures of what it made."""

from typing import Any

from rich.console import Console

from gen3d_training.captions import Captions
from gen3d_training.dataset import ViewDataset
from gen3d_training.ddim import Sampling
from gen3d_training.novel_views import PROTOCOL, Figures, novel_views
from gen3d_training.options import TrainOptions
from gen3d_training.text_views import NOISE, sheet, text_views


def of_pairs(prior: Any, unseen: ViewDataset, options: TrainOptions) -> dict[str, Any]:
    """Measure and print how well unseen views of held-out objects are made."""
    prior.load()
    figures = novel_views(prior, _spread(unseen, options.validate_objects), _sampling(options))
    Console().print(_novel_views(figures))
    return {"psnr": figures.psnr, "ssim": figures.ssim}


def of_captions(prior: Any, dataset: ViewDataset, options: TrainOptions) -> dict[str, Any]:
    """Measure and print how far text and camera are heeded, and draw samples of the commonest words as words.png."""
    prior.load()
    chosen = _spread(dataset, options.validate_objects)
    if not len(chosen):
        return {}
    common = Captions(dataset.names).common(len(chosen))
    sheet(prior, common, dataset.fov, _sampling(options), options.output / "words.png")
    errors = text_views(prior, chosen, Captions(chosen.names))
    Console().print(_text_views(errors, len(chosen)))
    return {"errors": errors}


def _sampling(options: TrainOptions) -> Sampling:
    return Sampling(options.validate_sampling_steps, options.validate_cfg_scale)


def _spread(dataset: ViewDataset, count: int) -> ViewDataset:
    """So many objects, spread over all of them."""
    count = min(count, len(dataset))
    return dataset.subset([i * len(dataset) // count for i in range(count)])


def _novel_views(figures: Figures) -> str:
    lines = [f"novel views of {figures.objects} held-out objects ({PROTOCOL})", f"{'':18}  PSNR dB   SSIM"]
    lines += [
        f"{kind.replace('_', ' '):18}  {figures.psnr[kind]:7.2f}  {figures.ssim[kind]:.3f}" for kind in figures.psnr
    ]
    return "\n".join(lines)


def _text_views(errors: dict[str, list[float]], objects: int) -> str:
    heading = "".join(f"  t={share:<5}" for share in NOISE)
    lines = [f"squared error of clean estimates of {objects} views, by what the prior is told", f"{'':18}{heading}"]
    lines += [f"{told:18}" + "".join(f"  {error:.4f} " for error in row) for told, row in errors.items()]
    return "\n".join(lines)
