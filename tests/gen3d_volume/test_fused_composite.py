"""The Triton kernels of compositing against plain PyTorch: compiled on a GPU, interpreted on a CPU."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import gen3d_volume
from gen3d import Unavailable
from gen3d_volume import backends
from gen3d_volume.backends import Compositing, choose
from gen3d_volume.composite import Packing
from kernels import DEVICES, GPU, INTERPRETED, passed_in_the_interpreter, ptx

TOLERANCE = 1e-5 if INTERPRETED else 5e-5  # of values around 1: cards have an exp of their own
COUNTS = (0, 3, 70, 0, 130, 64, 1, 0)  # samples of rays: none, one, a whole block, several blocks
CUT = {"BLOCK": 64, "CHANNELS": 4, "VALUES": True}
on_every_device = pytest.mark.parametrize("device", DEVICES)


@pytest.mark.skipif(INTERPRETED, reason="this is what it starts")
@pytest.mark.timeout(400)  # on a busy machine
def test_every_kernel_in_the_interpreter() -> None:
    assert passed_in_the_interpreter(__file__) >= 9


def random(device: str, *shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).to(device)


def packing_of(counts: tuple[int, ...], device: str) -> Packing:
    rays = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts, dtype=torch.long))
    return Packing.of(rays.to(device), len(counts))


def drawn(how: Compositing, depths: Tensor, colors: Tensor, packing: Packing) -> tuple[Tensor, ...]:
    """Weights, the rest, colour and depth, with the gradients that a loss on all four gives."""
    depths, colors = depths.clone().requires_grad_(), colors.clone().requires_grad_()
    device = str(depths.device)
    weight, left = how.weights(depths, packing)
    color = how.composite(colors, weight, packing)
    depth = how.composite(random(device, len(depths), 1, seed=3), weight, packing)
    shown = (weight, left, color, depth)
    loss = torch.stack([(value * (random(device, *value.shape, seed=4) - 0.5)).sum() for value in shown]).sum()
    return *shown, *torch.autograd.grad(loss, [depths, colors])


def compared(depths: Tensor, colors: Tensor, packing: Packing, backend: backends.Backend = "triton") -> list[Tensor]:
    ours, theirs = (drawn(choose(name, depths.device), depths, colors, packing) for name in (backend, "torch"))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=TOLERANCE, atol=TOLERANCE)
    return list(ours)


@on_every_device
@pytest.mark.parametrize("channels", [1, 3, 4, 7])
def test_pictures_and_gradients_are_those_of_plain_torch(channels: int, device: str) -> None:
    packing = packing_of(COUNTS, device)
    depths = random(device, sum(COUNTS)) * 0.2
    depths[20:24] = 30.0  # a wall
    depths[100:104] = 0.0
    values = random(device, channels, sum(COUNTS), seed=1).T  # planar, as fields give them
    weight, left, *_ = compared(depths, values, packing)
    assert left[[0, 3, 7]].tolist() == [1, 1, 1]
    assert weight[24:73].max() < 1e-12


@on_every_device
@pytest.mark.parametrize("counts", [(), (0, 0), (1,)])
def test_no_rays_no_samples_and_one(counts: tuple[int, ...], device: str) -> None:
    compared(random(device, sum(counts)), random(device, sum(counts), 3, seed=1), packing_of(counts, device))


@on_every_device
def test_thin_samples_keep_their_digits(device: str) -> None:
    """1 - exp(-1e-6) in float32 has no digit left but one."""
    depths = torch.tensor([1e-6, 1e-4, 0.01, 0.0999, 0.1001, 1.0], device=device)
    weight, _ = choose("triton", depths.device).weights(depths, packing_of((1,) * 6, device))
    torch.testing.assert_close(weight.double(), -torch.expm1(-depths.double()), rtol=1e-5, atol=0)


@on_every_device
def test_what_is_behind_a_wall_gets_no_noise_for_a_gradient(device: str) -> None:
    """Adam divides a gradient by its own size: one that should be 0 must be."""
    depths = torch.full((100,), 0.05, device=device)
    depths[50:] = 200.0
    depths.requires_grad_()
    weight, _ = choose("triton", depths.device).weights(depths, packing_of((100,), device))
    (gradient,) = torch.autograd.grad((weight * random(device, 100)).sum(), depths)
    assert gradient[:50].all()
    assert not gradient[51:].any()


@on_every_device
def test_double_precision_is_left_to_plain_torch(device: str) -> None:
    depths = random(device, 4).double()
    weight, _ = choose("triton", depths.device).weights(depths, packing_of((4,), device))
    assert weight.dtype == torch.float64


@on_every_device
def test_what_computes_something_else_is_not_used(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gen3d_volume import composite, fused

    monkeypatch.setattr(fused, "composite", lambda *given: 1.1 * composite.composite(*given))
    backends._fault.cache_clear()
    with pytest.raises(Unavailable, match="triton computes other numbers"):
        choose("triton", torch.device(device))
    backends._fault.cache_clear()


@pytest.mark.skipif(INTERPRETED, reason="compiles")
@pytest.mark.parametrize(("name", "warps"), [("weights", 1), ("to_depths", 1), ("composite", 1), ("from_composite", 4)])
def test_compiles_for_a_card(name: str, warps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ray is one warp's, which has nobody to wait for: sums along rays need no barrier."""
    pytest.importorskip("triton")
    from gen3d_volume import kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    integers = dict.fromkeys(("by_sample", "by_channel", "by_ray", "by_color", "samples", "channels"), "i32")
    types = {"offsets": "*i64", "rays": "*i64", **integers}
    kernel = getattr(kernels, name)
    constants = {key: value for key, value in CUT.items() if key in kernel.arg_names}
    text = ptx(kernel, types, constants, 90, warps)
    assert ".local" not in text
    if name in {"weights", "to_depths"}:
        assert "bar.sync" not in text


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("backend", ["triton", "nerfacc"])
def test_a_whole_picture(backend: backends.Backend, device: str) -> None:
    if backend == "nerfacc":
        pytest.importorskip("nerfacc")
        if backends._fault("nerfacc", torch.device(device)):
            pytest.skip("nerfacc has not been built")
    counts = tuple(torch.randint(0, 200, (20_000,), generator=torch.Generator().manual_seed(0)).tolist())
    compared(
        0.1 * random(device, sum(counts)), random(device, sum(counts), 3, seed=1), packing_of(counts, device), backend
    )


def test_a_triton_that_cannot_be_imported_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    for name in ("fused", "kernels"):
        monkeypatch.delitem(sys.modules, f"gen3d_volume.{name}", raising=False)
        monkeypatch.delattr(gen3d_volume, name, raising=False)
    monkeypatch.setenv("TRITON_INTERPRET", "1")  # so that a CPU would do
    backends._fault.cache_clear()
    with pytest.raises(Unavailable, match="triton is not installed") as raised:
        choose("triton", torch.device("cpu"))
    assert raised.value.exit_code == 3
    backends._fault.cache_clear()


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing without CUDA")
def test_without_cuda_plain_torch_does_it_and_says_why() -> None:
    assert choose("auto", torch.device("cpu")).name == "torch"
    assert backends.report(torch.device("cpu")) == "torch: triton and nerfacc need CUDA, and the device is cpu"
    with pytest.raises(Unavailable, match="nerfacc needs CUDA"):
        choose("nerfacc", torch.device("cpu"))


def test_auto_takes_the_first_that_works_and_says_what_is_wrong_with_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        backends, "_fault", lambda name, device: "has no compiler" if name == "triton" else "is missing"
    )
    choice = choose("auto", torch.device("cuda"))
    assert (choice.name, choice.expected) == ("torch", False)
    assert choice.why == "triton has no compiler; nerfacc is missing"
