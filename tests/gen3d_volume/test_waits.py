"""How often a training step waits for the device: what reads a number back, or copies one there, does."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gen3d import Representation, Stage
from gen3d.testing import toy_cameras
from gen3d_nerf.hash_grid import HashGrid
from gen3d_volume.volume import Volume
from gen3d_voxel.voxel import Voxel

Bind = Callable[..., tuple[Volume, Stage]]
WAITS = {"nonzero", "_local_scalar_dense", "lift_fresh", "masked_select", "is_nonzero", "equal"}


class Waits(TorchDispatchMode):
    """Counts operations that would wait; `lift_fresh` is a tensor from a list, which would have to be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        self.count.update({name} & WAITS)
        return function(*args, **(kwargs or {}))


def test_a_number_that_is_read_or_sent_is_counted() -> None:
    with Waits() as waits:
        assert torch.ones(2).new_tensor([1.0]).item() == 1
    assert waits.count == {"lift_fresh": 1, "_local_scalar_dense": 1}


@pytest.mark.parametrize(
    ("make", "keys"),
    [
        (lambda: Voxel(16, "rgb", box=0.6, blob_density=10.0), {}),
        (lambda: HashGrid(levels=4, table_log2=8, coarsest=4, finest=16, width=8, voxel_size=0.05), {}),
        (lambda: HashGrid(levels=4, table_log2=8, coarsest=4, finest=16, width=8, voxel_size=0.05, active_levels=2.5),
         {"normals": "analytic", "shading": 1.0}),
    ],
    ids=["voxel", "hash_grid", "lit"],
)  # fmt: skip
def test_a_step_waits_for_what_it_has_to_know(make: Callable[[], Representation], keys: Any, bind: Bind) -> None:
    """How many rays, blocks, samples and visible samples there are; not for surveys, fields or gradients."""
    field = make()
    renderer, stage = bind(field, **keys)
    cameras = toy_cameras(2, 12)
    for index in (0, 16, 17):  # the first time, with a survey of the field, and without
        step = stage.step(index)
        field.at(step)
        renderer.at(step)
        with Waits() as waits:
            views = renderer(field, cameras, step, frozenset({"samples", "normal"}))
            (views.image.square().sum() + views.depth.sum() + views.normal[..., 2].sum()).backward()
        if index:
            assert waits.count == {"nonzero": 4}
