"""Recorded calls: with an obedient stand-in for CUDA's recorder on a CPU, and with the real one where there is CUDA."""

import pytest
import torch
from torch import Tensor, nn

from gen3d.graphs import MOST, Graphs
from gen3d.testing import toy_stage
from recorder import Buffers, Function


def cube(x: Tensor) -> Tensor:
    return x**3


def test_a_call_is_recorded_the_second_time_and_replayed_from_then_on() -> None:
    buffers = Buffers()
    graphs = Graphs(record=buffers)
    results = [graphs("cube", cube, (torch.full((2,), float(n)),)) for n in range(5)]
    assert [result[0].item() for result in results] == [0, 1, 8, 27, 64]  # no result is overwritten
    assert (buffers.recorded, buffers.replays, len(graphs)) == (1, 4, 1)


def test_other_shapes_gradients_and_keys_are_calls_of_their_own() -> None:
    buffers = Buffers()
    graphs = Graphs(record=buffers)
    for _ in range(3):
        graphs("cube", cube, (torch.ones(2),))
        graphs("cube", cube, (torch.ones(3),))
        graphs("cube", cube, (torch.ones(2, requires_grad=True),)).sum().backward()
        with torch.no_grad():
            graphs("cube", cube, (torch.ones(2),))
        graphs("square", torch.square, (torch.ones(2),))
    assert buffers.recorded == 5


def test_only_so_many_are_recorded() -> None:
    buffers = Buffers()
    graphs = Graphs(record=buffers)
    for size in range(1, MOST + 4):
        for _ in range(3):
            assert torch.equal(graphs("cube", cube, (torch.full((size,), 2.0),)), torch.full((size,), 8.0))
    assert buffers.recorded == len(graphs) == MOST


def test_gradients_are_those_of_the_call() -> None:
    graphs = Graphs(record=Buffers())
    for n in range(1, 5):
        x = torch.tensor([float(n)], requires_grad=True)
        (2 * graphs.differentiable("cube", cube, x)).sum().backward()
        assert x.grad is not None
        assert x.grad.item() == 6 * n**2


def test_a_pass_that_waits_for_its_gradient_is_not_overwritten() -> None:
    """As where two terms of one step look through one encoder."""
    buffers = Buffers()
    graphs = Graphs(record=buffers)
    for _ in range(4):
        one, other = (torch.tensor([value], requires_grad=True) for value in (2.0, 5.0))
        (graphs("cube", cube, (one,)) + graphs("cube", cube, (other,))).sum().backward()
        assert (one.grad.item(), other.grad.item()) == (12, 75)
    assert buffers.replays == 4  # of 8 calls: the first of all was not recorded, its second was; then every first one


def test_a_pass_whose_gradient_nobody_wanted_is_no_hindrance() -> None:
    buffers = Buffers()
    graphs = Graphs(record=buffers)
    for _ in range(5):
        graphs("cube", cube, (torch.ones(1, requires_grad=True),))
    assert buffers.replays == 4


def test_parameters_are_seen_as_they_are_now_and_have_their_gradient() -> None:
    layer = nn.Linear(3, 1, bias=False)
    graphs = Graphs(record=Buffers())
    for n in range(1, 5):
        with torch.no_grad():
            layer.weight.fill_(n)
        layer.weight.grad = None
        result = graphs("layer", layer, (torch.tensor([1.0, 2.0, 3.0]),), tuple(layer.parameters()))
        assert result.item() == 6 * n
        result.backward()
        assert layer.weight.grad.tolist() == [[1, 2, 3]]


def test_what_cannot_be_recorded_is_called_as_it_is_and_the_reason_is_told() -> None:
    told = []

    def refuse(*_: object) -> Function:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    graphs = Graphs(warn=told.append, record=refuse)
    for _ in range(4):
        assert graphs("cube", cube, (torch.tensor([2.0]),)).item() == 8
    assert told == ["the networks are called without CUDA graphs: operation not permitted when stream is capturing"]


def test_nothing_is_recorded_on_a_cpu_or_where_it_is_not_wanted() -> None:
    for graphs in (Graphs(), Graphs(wanted=False, record=Buffers())):
        for _ in range(3):
            graphs("cube", cube, (torch.ones(1),))
        assert len(graphs) == 0


def test_a_new_stage_forgets_what_the_last_one_recorded() -> None:
    stage = toy_stage({})
    first, second = Graphs.of(stage, wanted=True), Graphs.of(stage, wanted=True)
    for graphs in (first, second):
        graphs._record, graphs._everywhere = Buffers(), True
        for _ in range(2):
            graphs("cube", cube, (torch.ones(1),))
    assert (len(first), len(second)) == (1, 1)
    stage.name = "later"
    Graphs.of(stage, wanted=True)
    assert (len(first), len(second)) == (0, 0)


@pytest.mark.gpu
def test_on_cuda_values_and_gradients_are_those_of_the_call() -> None:
    layer, graphs = nn.Linear(8, 8).cuda(), Graphs()
    for n in range(5):
        x = torch.randn(4, 8, generator=torch.Generator().manual_seed(n)).cuda().requires_grad_()
        wanted = torch.autograd.grad(layer(x).square().sum(), [x, *layer.parameters()])
        result = graphs("layer", layer, (x,), tuple(layer.parameters()))
        found = torch.autograd.grad(result.square().sum(), [x, *layer.parameters()])
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other)
        with torch.no_grad():
            layer.weight.mul_(1.1)
    assert len(graphs) == 1
