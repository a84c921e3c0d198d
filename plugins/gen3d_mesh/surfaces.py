"""What the terms of triangles have in common."""

from gen3d.errors import Unsupported
from gen3d.part import Stage
from gen3d.representation import Surface


def surface_of(stage: Stage, name: str) -> Surface:
    """The stage's representation as a surface. Raises Unsupported, in the name of a term, where it is none."""
    if not isinstance(stage.representation, Surface):
        raise Unsupported(
            f"this looks at triangles, and a {type(stage.representation).__name__} has none",
            place=name,
            remedy="choose a representation such as tetrahedra, or remove the term",
        )
    return stage.representation
