"""The multiresolution hash encoding, with two backends over one table."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d import Unavailable
from gen3d_nerf.levels import hierarchy, size
from gen3d_nerf.lookup import lookup

Backend = Literal["auto", "torch", "tinycudann"]
_START = 1e-4  # entries start uniform in plus and minus this (Müller et al. 2022, section 4)


class HashEncoding(nn.Module):
    """Features of places in the unit cube (Müller et al. 2022, Instant Neural Graphics Primitives).

    Args:
        count: levels, with two features each.
        coarsest: cells along a side of the first.
        finest: cells along a side of the last.
        table_log2: binary logarithm of the most entries that a level has.
        smooth: smoothstep interpolation.
    """

    def __init__(self, count: int, coarsest: int, finest: int, table_log2: int, smooth: bool) -> None:
        super().__init__()
        self.levels = hierarchy(count, coarsest, finest, table_log2)
        self.smooth = smooth
        self.table = nn.Parameter(torch.zeros(size(self.levels), 2))
        self.active = float(count)
        self._config = {
            "otype": "HashGrid",
            "n_levels": count,
            "n_features_per_level": 2,
            "log2_hashmap_size": table_log2,
            "base_resolution": coarsest,
            "per_level_scale": (finest / coarsest) ** (1 / max(count - 1, 1)),
            "interpolation": "Smoothstep" if smooth else "Linear",
        }
        self._compiled: nn.Module | None = None

    @property
    def width(self) -> int:
        """Number of features."""
        return 2 * len(self.levels)

    @torch.no_grad()
    def start(self, stream: torch.Generator, backend: Backend) -> None:
        """Fill the table, and choose what looks up. Raises Unavailable where that is not here."""
        noise = torch.rand(self.table.shape, generator=stream)
        self.table.copy_((2 * noise - 1) * _START)
        wanted = backend == "tinycudann" or (backend == "auto" and self.table.is_cuda and _installed())
        self._compiled = _compiled(self._config, self.table) if wanted else None

    def forward(self, places: Float[Tensor, "points 3"]) -> Float[Tensor, "points features"]:
        """Level after level; those above `active` are 0, and a fraction of a level counts by that much."""
        seen = min(max(self.active, 1.0), float(len(self.levels)))
        whole = -int(-seen // 1)
        if self._compiled is None:
            features = lookup(self.table, places, self.levels[:whole], self.smooth)
        else:
            asked = torch.func.functional_call(self._compiled, {"params": self.table.flatten()}, (places,))
            features = cast("Tensor", asked)[:, : 2 * whole]
        if whole == seen == len(self.levels):
            return features
        shares = features.new_tensor([1.0] * (2 * whole - 2) + [1.0 - (whole - seen)] * 2)
        return nn.functional.pad(features * shares, (0, self.width - 2 * whole))


def _installed() -> bool:
    return find_spec("tinycudann") is not None


def _compiled(config: Mapping[str, Any], table: Float[Tensor, "entries 2"]) -> nn.Module:
    """The encoding of tinycudann in float32, without a table of its own: it counts entries as ours does."""
    remedy = "leave representation.backend out, or set it to torch"
    if not _installed():
        raise Unavailable("tinycudann is not installed", place="representation.backend", remedy=remedy)
    if not table.is_cuda:
        raise Unavailable("tinycudann needs CUDA", place="representation.backend", remedy=remedy)
    try:
        make: Callable[..., nn.Module] = import_module("tinycudann").Encoding
        module = make(3, dict(config), dtype=torch.float32)
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise Unavailable(f"tinycudann fails: {reason}", place="representation.backend", remedy=remedy) from error
    if sum(p.numel() for p in module.parameters()) != table.numel():
        raise Unavailable("this tinycudann lays its table out otherwise", place="representation.backend", remedy=remedy)
    module.params = nn.Parameter(table.new_empty(0), requires_grad=False)
    return module
