"""Several threads give the same bits each time."""

import torch

from core_toys import toy_run
from gen3d.deterministic import repeatable

CPU = torch.device("cpu")


def gradients_of_indexing(times: int) -> list[torch.Tensor]:
    stream = torch.Generator().manual_seed(0)
    rows = torch.randint(500, (200_000,), generator=stream)
    weights = torch.randn(len(rows), 4, generator=stream)
    values = [torch.zeros(500, 4, requires_grad=True) for _ in range(times)]
    return [torch.autograd.grad((value[rows] * weights).sum(), value)[0] for value in values]


def test_indexing_has_the_same_gradient_each_time() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with repeatable(CPU):
            first, *others = gradients_of_indexing(4)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(first, other) for other in others)


def test_it_lasts_for_a_run_on_a_cpu_and_no_longer(tmp_path) -> None:
    seen: list[bool] = []
    run = toy_run(tmp_path, "device=cpu")
    bind = run.stages[0].optimizer.bind
    run.stages[0].optimizer.bind = lambda groups: (  # type: ignore[method-assign]
        seen.append(torch.are_deterministic_algorithms_enabled()),
        bind(groups),
    )
    run.start()
    assert seen == [True]
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory
    with repeatable(torch.device("cuda")):
        assert not torch.are_deterministic_algorithms_enabled()
