"""What every part can do: state to checkpoint, and networks that a run shares."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from gen3d import Part
from gen3d.errors import BadInput
from gen3d.part import frozen
from gen3d.testing import toy_cameras, toy_stage


class Grid(Part):
    """A parameter, a buffer of the state, and a frozen network that is none of it."""

    buffers_to_checkpoint: ClassVar[tuple[str, ...]] = ("occupancy",)
    occupancy: Tensor

    def __init__(self, size: int = 3) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(size))
        self.register_buffer("occupancy", torch.ones(size, dtype=torch.bool))
        self.network = frozen(nn.Linear(4, 4))

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """One."""
        return {"values": [self.values]}


def test_state_is_what_is_trained_and_declared_and_nothing_frozen() -> None:
    assert set(Grid().trained_state()) == {"values.0", "occupancy"}


def test_state_goes_back() -> None:
    one, other = Grid(), Grid()
    with torch.no_grad():
        one.values += torch.arange(3.0)
        one.occupancy[1] = False
    other.load_trained_state(one.trained_state())
    assert torch.equal(other.values, one.values)
    assert torch.equal(other.occupancy, one.occupancy)
    assert other.values.requires_grad
    assert isinstance(other.values, nn.Parameter)


def test_state_of_another_shape_is_refused_and_not_broadcast() -> None:
    grid = Grid(3)
    with pytest.raises(ValueError, match=r"values.0 is \(3,\) here and \(1,\) there"):
        grid.load_trained_state(Grid(1).trained_state())
    assert not grid.values.any()


def test_state_that_lacks_a_name_is_refused() -> None:
    with pytest.raises(KeyError, match="occupancy"):
        Grid().load_trained_state({"values.0": torch.zeros(3)})


def test_frozen_networks_are_in_evaluation_mode_without_gradients() -> None:
    network = frozen(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))
    assert not any(p.requires_grad for p in network.parameters())
    assert not any(module.training for module in network.modules())


def test_what_parts_share_is_loaded_once() -> None:
    stage, loaded = toy_stage({}), []

    def load() -> list[str]:
        loaded.append("weights")
        return loaded

    assert stage.share(("unet", "xl"), load) is stage.share(("unet", "xl"), load)
    assert loaded == ["weights"]


def test_the_camera_of_the_picture_is_one_object_a_size() -> None:
    stage = toy_stage({})
    assert stage.reference_at(32) is stage.reference_at(32)
    assert stage.reference_at(32).width == 32
    assert stage.reference_at() is stage.reference


def test_the_camera_of_the_picture_is_told_from_others() -> None:
    stage = toy_stage({})
    assert stage.reference is not None
    assert stage.is_reference(stage.reference)
    assert stage.is_reference(stage.reference_at(32))
    assert not stage.is_reference(toy_cameras())


def test_without_a_picture_there_is_no_camera_of_it() -> None:
    stage = toy_stage({})
    stage.reference = None
    with pytest.raises(BadInput, match=r"inputs.image: .*picture"):
        stage.reference_at(32)
