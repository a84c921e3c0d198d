"""Who composites: plain PyTorch, Triton, which comes with PyTorch for CUDA, or nerfacc."""

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d import Unavailable
from gen3d_volume import composite as plain
from gen3d_volume.composite import Packing

Backend = Literal["auto", "torch", "triton", "nerfacc"]

_CLOSE = 1e-4  # of values around 1: what is wrong is further off, and what is merely rounded otherwise is nearer


class Compositing(NamedTuple):
    """What turns samples into pictures; what is not in float32 is left to PyTorch.

    Args:
        name: the backend.
        why: it is this one, as a person is told.
        weights: as `composite.weights`.
        composite: as `composite.composite`.
        expected: whether this is the fastest that the device could have.
    """

    name: str
    why: str
    weights: Callable[[Tensor, Packing], tuple[Tensor, Tensor]]
    composite: Callable[[Tensor, Tensor, Packing], Tensor]
    expected: bool = True


def choose(backend: Backend, device: torch.device) -> Compositing:
    """The backend of that name, or the fastest that works. Raises Unavailable where one that is named does not.

    Triton comes first: it makes two launches of what nerfacc makes a dozen of.
    """
    if backend == "torch":
        return _torch("the recipe says so")
    if backend == "auto" and device.type != "cuda":
        return _torch(f"triton and nerfacc need CUDA, and the device is {device.type}")
    faults: list[str] = []
    for name in ("triton", "nerfacc") if backend == "auto" else (backend,):
        fault = _fault(name, device)
        if fault is None:
            return _made(name, "; ".join([*faults, f"works on {device.type}"]))
        faults.append(f"{name} {fault}")
    if backend == "auto":
        return _torch("; ".join(faults), expected=False)
    raise Unavailable(faults[0], place="renderer.backend", remedy="leave renderer.backend out, or set it to torch")


def report(device: torch.device) -> str:
    """Who does it on a device if the recipe does not say, and why."""
    choice = choose("auto", device)
    return f"{choice.name}: {choice.why}"


def _torch(why: str, *, expected: bool = True) -> Compositing:
    return Compositing("torch", why, plain.weights, plain.composite, expected)


def _made(name: str, why: str) -> Compositing:
    """One of the others. Raises whatever is wrong with it."""
    module: Any = import_module({"triton": "gen3d_volume.fused", "nerfacc": "gen3d_volume.by_nerfacc"}[name])

    def weights(depths: Float[Tensor, " samples"], packing: Packing) -> tuple[Tensor, Tensor]:
        result: tuple[Tensor, Tensor] = (module if _single(depths) else plain).weights(depths, packing)
        return result

    def composite(values: Float[Tensor, "samples channels"], weight: Tensor, packing: Packing) -> Tensor:
        result: Tensor = (module if _single(values, weight) else plain).composite(values, weight, packing)
        return result

    return Compositing(name, why, weights, composite)


def _single(*values: Tensor) -> bool:
    return all(value.dtype == torch.float32 for value in values)


@cache
@torch.enable_grad()
def _fault(name: str, device: torch.device) -> str | None:
    """Why one cannot be: it is tried on three rays, because there are many ways in which a compiler can be broken."""
    if device.type != "cuda" and (name != "triton" or os.environ.get("TRITON_INTERPRET") != "1"):
        return f"needs CUDA, and the device is {device.type}"
    try:
        ours, theirs = (_tried(how, device) for how in (_made(name, ""), _torch("")))
    except ModuleNotFoundError:
        return "is not installed"
    except Exception as error:  # noqa: BLE001 (whatever it is, PyTorch does it)
        return f"fails: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    equal = all(torch.allclose(a, b, rtol=_CLOSE, atol=_CLOSE) for a, b in zip(ours, theirs, strict=True))
    return None if equal else "computes other numbers than PyTorch"


def _tried(how: Compositing, device: torch.device) -> tuple[Tensor, ...]:
    packing = Packing.of(torch.tensor([0, 0, 0, 2, 2], device=device), 3)
    depths = torch.linspace(0.05, 1, 5, device=device, requires_grad=True)
    values = torch.linspace(-1, 1, 10, device=device).view(5, 2).requires_grad_()
    weight, left = how.weights(depths, packing)
    picture = how.composite(values, weight, packing) + left[:, None]
    return weight, picture, *torch.autograd.grad(picture.square().sum(), [depths, values])
