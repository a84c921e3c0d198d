"""Low-rank adaptation of a frozen network (Hu et al. 2021), switched on for some rows of a batch only.

So one call of one network serves a prior's own branches and those of its adapter: x W + m (x A) B, with m = 1 in the
adapter's rows. Nothing of the network is replaced, and nothing stays on it after the call, so that parts may share it.

A prior with a network whose attention projections and time embedding are called as diffusers calls them needs three
things: `branches` with `ADAPTER_BRANCHES`, a row of `cameras.c2w.flatten(1)` as `camera` in its condition, and

    def adapter(self, rank, rng):
        return LoraAdapter(self.unet, rank, rng)

    def predict(self, noisy, t, condition, branches, adapter=None):
        # an adapter's branch has the input of the conditional one
        with applied(adapter, branches, condition):
            output = self.unet(...)  # len(noisy) rows for each of the branches, in this order

which calls the network with gradients where there is an adapter, and without where there is none.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from gen3d.errors import Unsupported
from gen3d.guidance import Adapter, Condition

ADAPTER_BRANCHES = frozenset({"adapter", "adapter_null"})
"""What a prior with an adapter adds to its branches."""

ATTENTION = r"(.*\.)?to_(q|k|v|out\.0)"
"""The names of the projections of attention layers."""

_CAMERA = 16


@final
class LowRank(nn.Module):
    """The change x -> (x A) B of one linear layer: A ~ N(0, 1 / rank^2), B = 0, kept in float32.

    Args:
        layer: the layer.
        rank: columns of A.
        rng: of A.
    """

    def __init__(self, layer: nn.Linear, rank: int, rng: torch.Generator) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, layer.in_features, generator=rng) / rank)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(
        self, inputs: Float[Tensor, "*batch features"], rows: Float[Tensor, " rows"] | None = None
    ) -> Float[Tensor, "*batch outputs"]:
        """What is added to the layer's output, in the precision of its input; 0 but in `rows` where they are given."""
        inner = linear(inputs, self.down.to(inputs.dtype))
        return linear(inner if rows is None else _only(rows, inner), self.up.to(inputs.dtype))


@final
class CameraEmbedding(nn.Module):
    """Two layers from a flattened camera-to-world matrix to what is added to the time embedding.

    The last layer starts at zero: published codes leave it random, and then a new adapter is no twin of its prior.

    Args:
        width: of the time embedding.
        rng: of the first layer, which starts as PyTorch's linear layers do.
    """

    def __init__(self, width: int, rng: torch.Generator) -> None:
        super().__init__()
        bound = _CAMERA**-0.5
        self.hidden = nn.Parameter((2 * torch.rand(width, _CAMERA, generator=rng) - 1) * bound)
        self.hidden_bias = nn.Parameter((2 * torch.rand(width, generator=rng) - 1) * bound)
        self.out = nn.Parameter(torch.zeros(width, width))
        self.out_bias = nn.Parameter(torch.zeros(width))

    def forward(self, cameras: Float[Tensor, "batch 16"]) -> Float[Tensor, "batch width"]:
        """A row for each camera."""
        return linear(silu(linear(cameras, self.hidden, self.hidden_bias)), self.out, self.out_bias)


@final
class LoraAdapter(Adapter):
    """Low-rank changes of a network's attention, and the camera in its time embedding (ProlificDreamer, section 3.3).

    Args:
        network: the frozen network. Its first axis counts rows, in every layer.
        rank: of the changes.
        rng: of their initial weights.
        targets: pattern of the full names of the linear layers to change.
        time: name of the module whose output is the time embedding.

    Raises:
        Unsupported: the network has no such layers.
    """

    def __init__(
        self,
        network: nn.Module,
        rank: int,
        rng: torch.Generator,
        targets: str = ATTENTION,
        time: str = "time_embedding",
    ) -> None:
        super().__init__()
        modules = dict(network.named_modules())
        layers = [m for name, m in modules.items() if isinstance(m, nn.Linear) and re.fullmatch(targets, name)]
        if not layers or time not in modules:
            raise Unsupported(f"a {type(network).__name__} has no attention layers or no {time} to adapt")
        width = [m.out_features for m in modules[time].modules() if isinstance(m, nn.Linear)][-1]
        self.changes = nn.ModuleList(LowRank(layer, rank, rng) for layer in layers)
        self.camera = CameraEmbedding(width, rng)
        self._frozen = layers, modules[time]  # in a tuple, so that no checkpoint ever holds them
        self.to(layers[0].weight.device)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`lora` (all changes) and `camera` (its embedding)."""
        return {"lora": list(self.changes.parameters()), "camera": list(self.camera.parameters())}

    @contextmanager
    def over(self, branches: Sequence[str], cameras: Float[Tensor, "batch 16"]) -> Iterator[None]:
        """Change what the network does while this lasts, in the rows of the adapter's branches.

        Args:
            branches: whose rows follow each other in the network's batch.
            cameras: of the rows of one branch, each a flattened c2w.
        """
        layers, time = self._frozen
        known = torch.cat([cameras if name == "adapter" else torch.zeros_like(cameras) for name in branches])
        flags = (float(name in ADAPTER_BRANCHES) for name in branches)
        rows = torch.cat([cameras.new_full((len(cameras),), flag) for flag in flags])  # made there, not copied

        def change(layer: nn.Module, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return output + layer(inputs[0], rows).to(output.dtype)

        def embed(_: nn.Module, _inputs: tuple[Tensor | None, ...], output: Tensor) -> Tensor:
            return output + _only(rows, self.camera(known)).to(output.dtype)

        with ExitStack() as stack:
            for layer, place in zip(self.changes, layers, strict=True):
                stack.callback(place.register_forward_hook(partial(change, layer)).remove)
            stack.callback(time.register_forward_hook(embed).remove)
            yield


@contextmanager
def applied(adapter: Adapter | None, branches: Sequence[str], condition: Condition) -> Iterator[None]:
    """Where a prior calls its network: with the adapter's changes and gradient, or without gradient and plain.

    Raises:
        Unsupported: an adapter's branch without an adapter of ours.
    """
    if adapter is None and ADAPTER_BRANCHES.isdisjoint(branches):
        with torch.no_grad():
            yield
        return
    if not isinstance(adapter, LoraAdapter):
        raise Unsupported(f"these branches need a LoraAdapter: {', '.join(branches)}", remedy="call prior.adapter")
    with adapter.over(branches, condition.tensors["camera"].to(adapter.camera.hidden)):
        yield


def trained(adapter: Adapter | None) -> tuple[Tensor, ...]:
    """The parameters that the network's output has a gradient by, where it has one."""
    return () if adapter is None or not torch.is_grad_enabled() else tuple(adapter.parameters())


def _only(rows: Float[Tensor, " rows"], values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The values of rows that are 1; those of the others, which are 0, as 0."""
    return values * rows.to(values.dtype).view(-1, *[1] * (values.dim() - 1))
