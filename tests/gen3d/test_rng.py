"""Named random streams."""

import pytest
import torch

from gen3d.part import Step
from gen3d.rng import generator


def test_the_same_stream_gives_the_same_numbers() -> None:
    step = Step(7, 10, "shape", seed=3)
    assert torch.equal(step.randn("noise", 5), step.randn("noise", 5))
    assert torch.equal(step.rand("t", 5), Step(7, 10, "shape", 3).rand("t", 5))


@pytest.mark.parametrize("other", [Step(8, 10, "shape", 3), Step(7, 10, "color", 3), Step(7, 10, "shape", 4)])
def test_each_step_stage_and_seed_has_its_own(other: Step) -> None:
    assert not torch.equal(Step(7, 10, "shape", 3).randn("noise", 5), other.randn("noise", 5))


def test_other_streams_and_the_number_of_steps_shift_nothing() -> None:
    step = Step(7, 10)
    alone = step.randn("a", 5)
    step.randn("b", 1000)
    assert torch.equal(step.randn("a", 5), alone)
    assert torch.equal(Step(7, 99).randn("a", 5), alone)  # a run can be prolonged
    assert not torch.equal(step.randn("b", 5), alone)


def test_parts_of_the_key_do_not_run_together() -> None:
    keys = [("1", "12"), ("11", "2"), ("112",), ("112", ""), ("", "112")]
    assert len({generator(*key).initial_seed() for key in keys}) == len(keys)


def test_the_numbers_are_those_of_every_machine() -> None:
    # hash() would differ from process to process.
    assert generator(0, "main", 0, "cameras").initial_seed() == 7321037715689645126


def test_nothing_global_is_touched() -> None:
    before = torch.get_rng_state()
    Step(0, 1).randn("noise", 5)
    assert torch.equal(torch.get_rng_state(), before)
