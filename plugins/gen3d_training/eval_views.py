"""Novel views by a prior, against rendered ones and against not trying."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from gen3d.errors import BadInput, Unsupported
from gen3d.guidance import Prior
from gen3d.plugins import installed
from gen3d.registry import did_you_mean
from gen3d_training.cases import listed
from gen3d_training.dataset import ViewDataset
from gen3d_training.ddim import Sampling
from gen3d_training.novel_views import PROTOCOL, novel_views


def eval_views(
    dataset: Path,
    weights: str = "mini",
    prior: str = "zero123",
    objects: int = 60,
    only: Path | None = None,
    samples: int = 4,
    how: Sampling | None = None,
) -> dict[str, Any]:
    """Let a prior make the fixed views of objects, and measure them.

    Args:
        dataset: folder that `gen3d render-dataset` wrote.
        weights: name or folder.
        prior: registered name; its class must offer `load`.
        objects: how many, spread evenly over all.
        only: file with the names of those to take them from: for figures on objects that training did not see.
        samples: of each view.
        how: the sampler's settings.

    Returns:
        `psnr` and `ssim` by kind of prediction, `margin` over the better baseline, `objects`, and the `protocol`.

    Raises:
        BadInput: a dataset, list or weights that cannot be used, or whose pictures differ in size.
        Unsupported: a prior that needs a run.
    """
    how = how or Sampling()
    model = _loaded(prior, weights)
    views = _chosen(ViewDataset.open(dataset), only, objects)
    size, wanted = _size(model, views), views.pictures.shape[2]
    if size != wanted:
        cause = f"its pictures are {wanted} pixels wide, and {weights} makes {size}"
        raise BadInput(cause, place=str(dataset), remedy=f"render it again: gen3d render-dataset --size {size}")
    figures = novel_views(model, views, how, samples)
    protocol = {"views": PROTOCOL, "samples": samples, "sampler": f"DDIM, {asdict(how)}", "weights": weights}
    return {**asdict(figures), "margin": figures.margin, "protocol": protocol}


def _loaded(name: str, weights: str) -> Prior:
    cls = installed().registry.component("prior", name).load()
    if not hasattr(cls, "load"):
        raise Unsupported(f"prior {name!r} cannot be loaded without a run", remedy="zero123 can")
    prior: Prior = cls(weights=weights)
    prior.load()  # type: ignore[operator]
    return prior


def _chosen(views: ViewDataset, only: Path | None, count: int) -> ViewDataset:
    names = listed(only) if only is not None else list(views.names)
    place = {name: at for at, name in enumerate(views.names)}
    for name in names:
        if name not in place:
            raise BadInput(f"no object {name!r} in the dataset", place=str(only), remedy=did_you_mean(name, place))
    count = min(count, len(names))
    return views.subset([place[names[at * len(names) // count]] for at in range(count)])


def _size(prior: Prior, views: ViewDataset) -> int:
    """Side of the pictures that a prior makes."""
    picture = views.pictures[0, :1, ..., :3].float() / 255
    return int(prior.decode(prior.encode(picture)).shape[1])
