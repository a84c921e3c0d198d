"""Who looks up in the table: plain PyTorch, Triton, which comes with PyTorch for CUDA, or tinycudann."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d import Unavailable
from gen3d_nerf.levels import Level, hierarchy, size
from gen3d_nerf.lookup import lookup
from gen3d_nerf.plain import Plain

Backend = Literal["auto", "torch", "triton", "tinycudann"]
Features = Callable[[Tensor, Tensor, float], Tensor]
"""Features of places by a table, where so many levels count: the last by a share if they are no whole number."""

_REMEDY = "leave representation.backend out, or set it to torch"
_CLOSE = 1e-4  # of values around 1: what is wrong is further off, and what is merely rounded otherwise is nearer


@dataclass(frozen=True)
class Grid:
    """An encoding, for a backend to work on.

    Args:
        levels: of the table.
        smooth: smoothstep interpolation.
        config: the same in the words of tiny-cuda-nn.
    """

    levels: Sequence[Level]
    smooth: bool
    config: Mapping[str, Any]

    @classmethod
    def of(cls, count: int, coarsest: int, finest: int, table_log2: int, smooth: bool) -> "Grid":
        """So many levels between two resolutions, none with more entries than 2^table_log2."""
        config = {
            "otype": "HashGrid",
            "n_levels": count,
            "n_features_per_level": 2,
            "log2_hashmap_size": table_log2,
            "base_resolution": coarsest,
            "per_level_scale": (finest / coarsest) ** (1 / max(count - 1, 1)),
            "interpolation": "Smoothstep" if smooth else "Linear",
        }
        return cls(hierarchy(count, coarsest, finest, table_log2), smooth, config)


@dataclass(frozen=True)
class Choice:
    """Who does it, and why.

    Args:
        name: a backend.
        why: as a person is told.
        features: what it does.
        expected: whether this is the fastest that the device could have.
    """

    name: str
    why: str
    features: Features
    expected: bool = True


def choose(backend: Backend, grid: Grid, table: Float[Tensor, "entries 2"]) -> Choice:
    """The backend of that name, or the fastest that works. Raises Unavailable where one that is named does not.

    Triton comes first: it keeps the layout of the table and of the features, and stores no slopes on the way.
    """
    plain = partial(_plain, grid)
    if backend == "torch" or (backend == "auto" and not table.is_cuda):
        return Choice("torch", "the recipe says so" if backend == "torch" else _elsewhere(table.device), plain)
    faults: list[str] = []
    for name in ("triton", "tinycudann") if backend == "auto" else (backend,):
        try:
            return Choice(name, "; ".join([*faults, f"works on {table.device.type}"]), _MAKE[name](grid, table))
        except Unavailable as error:
            if backend != "auto":
                raise
            faults.append(error.cause)
    return Choice("torch", "; ".join(faults), plain, expected=False)


def report(device: torch.device) -> str:
    """Who does it on a device if the recipe does not say, and why."""
    grid = _tiny()
    choice = choose("auto", grid, torch.zeros(size(grid.levels), 2, device=device))
    return f"{choice.name}: {choice.why}"


def _elsewhere(device: torch.device) -> str:
    return f"triton and tinycudann need CUDA, and the device is {device.type}"


def _plain(grid: Grid, table: Tensor, places: Tensor, active: float) -> Tensor:
    whole = -int(-active // 1)
    features = lookup(table, places, Plain(grid.levels[:whole], grid.smooth))
    return _faded(features, active, len(grid.levels))


def _faded(features: Float[Tensor, "points some"], active: float, levels: int) -> Float[Tensor, "points features"]:
    """The last level by its share, and 0 for those that are not there."""
    whole = features.shape[1] // 2
    if whole == active == levels:
        return features
    shares = features.new_ones(2 * whole)
    shares[-2:].fill_(1.0 - (whole - active))
    return nn.functional.pad(features * shares, (0, 2 * (levels - whole)))


def _triton(grid: Grid, table: Float[Tensor, "entries 2"]) -> Features:
    """In one launch. What is not in float32 is left to PyTorch."""
    fault = _fault_of_triton(table.device)
    if fault:
        raise _unavailable(fault)
    fused = import_module("gen3d_nerf.fused").Fused.of(grid.levels, grid.smooth, table.device)

    def features(table: Tensor, places: Tensor, active: float) -> Tensor:
        if places.dtype != torch.float32:
            return _plain(grid, table, places, active)
        return lookup(table, places, replace(fused, active=active))

    return features


@cache
@torch.enable_grad()
def _fault_of_triton(device: torch.device) -> str | None:
    """Why it cannot be: it is tried on a few points, because there are many ways in which a compiler can be broken."""
    if device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return f"triton needs CUDA, and the device is {device.type}"
    grid = _tiny()
    places = torch.tensor([*product((0.0, 0.3, 1.0), repeat=3)], device=device, requires_grad=True)
    table = torch.linspace(-1, 1, 2 * size(grid.levels), device=device).view(-1, 2).requires_grad_()
    try:
        fused = import_module("gen3d_nerf.fused").Fused.of(grid.levels, grid.smooth, device)
        ours, theirs = (_tried(table, places, how) for how in (fused, Plain(grid.levels, grid.smooth)))
    except Exception as error:  # noqa: BLE001 (whatever it is, PyTorch does it)
        return f"triton fails: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    equal = all(torch.allclose(a, b, rtol=_CLOSE, atol=_CLOSE) for a, b in zip(ours, theirs, strict=True))
    return None if equal else "triton computes other numbers than PyTorch"


def _tried(table: Tensor, places: Tensor, how: Any) -> tuple[Tensor, ...]:
    features = lookup(table, places, how)
    return features, *torch.autograd.grad(features.square().mean(), [table, places])


def _tinycudann(grid: Grid, table: Float[Tensor, "entries 2"]) -> Features:
    """By the encoding of tinycudann in float32, without a table of its own: it counts entries as ours does."""
    if find_spec("tinycudann") is None:
        raise _unavailable("tinycudann is not installed")
    if not table.is_cuda:
        raise _unavailable("tinycudann needs CUDA")
    try:
        make: Callable[..., nn.Module] = import_module("tinycudann").Encoding
        module = make(3, dict(grid.config), dtype=torch.float32)
    except (ImportError, OSError, RuntimeError) as error:
        raise _unavailable(f"tinycudann fails: {str(error).partition(chr(10))[0]}") from error
    if sum(p.numel() for p in module.parameters()) != table.numel():
        raise _unavailable("this tinycudann lays its table out otherwise")
    module.params = nn.Parameter(table.new_empty(0), requires_grad=False)

    def features(table: Tensor, places: Tensor, active: float) -> Tensor:
        asked = torch.func.functional_call(module, {"params": table.flatten()}, (places,))
        return _faded(cast("Tensor", asked)[:, : -2 * int(-active // 1)], active, len(grid.levels))

    return features


_MAKE: dict[str, Callable[[Grid, Tensor], Features]] = {"triton": _triton, "tinycudann": _tinycudann}


def _unavailable(cause: str) -> Unavailable:
    return Unavailable(cause, place="representation.backend", remedy=_REMEDY)


def _tiny() -> Grid:
    """A grid with dense levels and a hashed one."""
    return Grid.of(3, 3, 12, 8, smooth=False)
