"""What turns the object into pictures."""

from abc import abstractmethod
from typing import Any, ClassVar

from gen3d.cameras import Cameras
from gen3d.part import Part, Step
from gen3d.representation import Representation
from gen3d.views import Views


class Renderer(Part):
    """g in x = g(theta, c). It owns the background."""

    draws: ClassVar[type[Any]]
    """The protocol that a representation must satisfy."""

    offers: ClassVar[frozenset[str]] = frozenset({"image", "alpha", "depth"})
    """The outputs it can give."""

    @abstractmethod
    def forward(self, representation: Representation, cameras: Cameras, step: Step, outputs: frozenset[str]) -> Views:
        """Draw the object. `outputs` names what is wanted besides image, alpha and depth."""
