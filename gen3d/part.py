"""Whatever a recipe names, and the context it works in."""

from __future__ import annotations

import logging
from abc import ABC
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from gen3d import rng
from gen3d.errors import BadInput
from gen3d.transfer import sent

if TYPE_CHECKING:
    from gen3d.cameras import Cameras
    from gen3d.guidance import Guidance
    from gen3d.inputs import Inputs
    from gen3d.renderer import Renderer
    from gen3d.representation import Representation

T = TypeVar("T")
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Step:
    """One iteration of a stage.

    Args:
        index: 0-based within the stage.
        total: how many steps the stage has.
        stage: the stage's name.
        seed: the run's seed.
        device: where the parts are.
    """

    index: int
    total: int
    stage: str = "main"
    seed: int = 0
    device: torch.device = _CPU

    def rng(self, name: str) -> torch.Generator:
        """A CPU generator of its own for everything that draws: a function of (seed, stage, index, name)."""
        return rng.generator(self.seed, self.stage, self.index, name)

    def randn(self, name: str, *shape: int) -> Tensor:
        """Standard normal numbers of the stream `name`, on the step's device."""
        return sent(torch.randn(*shape, generator=self.rng(name)), self.device)

    def rand(self, name: str, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) of the stream `name`, on the step's device."""
        return sent(torch.rand(*shape, generator=self.rng(name)), self.device)


@dataclass
class Stage:
    """What every part is bound to, once a stage.

    Args:
        name: the stage's name in the recipe.
        steps: how many there are.
        seed: the run's.
        device: where parts put their tensors.
        inputs: the picture and the prompt, already read and prepared.
        reference: the camera of the input picture; None without one.
        representation: the object of this stage.
        renderer: what draws it.
        guidance: the terms, by their names in the recipe.
        previous: the object that the stage before left; None in the first.
        shared: frozen networks by what identifies them; lives as long as the run.
        warn: takes remarks for the person who runs this.
    """

    name: str
    steps: int
    seed: int
    device: torch.device
    inputs: Inputs
    reference: Cameras | None
    representation: Representation
    renderer: Renderer
    guidance: dict[str, Guidance]
    previous: Representation | None = None
    shared: dict[Hashable, Any] = field(default_factory=dict)
    warn: Callable[[str], None] = logging.getLogger("gen3d").warning
    _references: dict[int, Cameras] = field(default_factory=dict)

    def share(self, key: Hashable, load: Callable[[], T]) -> T:
        """The frozen network that `key` identifies, loaded by the first part that asks."""
        if key not in self.shared:
            self.shared[key] = load()
        result: T = self.shared[key]
        return result

    def reference_at(self, size: int | None = None) -> Cameras:
        """The input picture's camera at a picture size: one object a size, so that the loop renders it once.

        Raises BadInput where the run has no picture.
        """
        if self.reference is None:
            raise BadInput("this recipe needs a picture", place="inputs.image", remedy="add inputs.image=photo.png")
        size = size or self.reference.height
        return self._references.setdefault(size, self.reference.resized(size))

    def is_reference(self, cameras: Cameras) -> bool:
        """Whether these are the input picture's, at any size: what is random about a drawing is not for them."""
        return any(cameras is known for known in (self.reference, *self._references.values()))

    def varies(self, cameras: Cameras) -> bool:
        """Whether chance may decide how these are drawn: in training, but not the input picture's."""
        return torch.is_grad_enabled() and not self.is_reference(cameras)

    def step(self, index: int) -> Step:
        """The context of one iteration."""
        return Step(index, self.steps, self.name, self.seed, self.device)


class Part(nn.Module, ABC):
    """Whatever a recipe names. The constructor's keywords are its recipe keys; weights load in `bind`."""

    name: str = ""
    """Its place in the recipe, such as "guidance.novel_views"; the loop sets it before `bind`."""

    buffers_to_checkpoint: ClassVar[tuple[str, ...]] = ()
    """Names of buffers that belong to the trained state, such as an occupancy grid."""

    def bind(self, stage: Stage) -> None:
        """Called once a stage, before the first step: read inputs, load frozen networks, encode prompts."""

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """What is trained and checkpointed, by names that a recipe can give a learning rate."""
        return {}

    def at(self, step: Step) -> None:
        """Called at the start of each step: schedules, occupancy, levels."""

    def trained_state(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint: what `param_groups` names and the declared buffers, nothing frozen."""
        groups = self.param_groups().items()
        state = {f"{name}.{i}": p.detach() for name, group in groups for i, p in enumerate(group)}
        return state | {name: self.get_buffer(name) for name in self.buffers_to_checkpoint}

    @torch.no_grad()
    def load_trained_state(self, state: dict[str, Tensor]) -> None:
        """Put a checkpoint's tensors back. Raises KeyError or ValueError where names or shapes differ."""
        for name, tensor in self.trained_state().items():
            if tensor.shape != state[name].shape:  # copy_ would broadcast
                msg = f"{name} is {tuple(tensor.shape)} here and {tuple(state[name].shape)} there"
                raise ValueError(msg)
            tensor.copy_(state[name])


def frozen(network: nn.Module) -> nn.Module:
    """The network in evaluation mode, without gradients of its own weights."""
    return network.eval().requires_grad_(requires_grad=False)
