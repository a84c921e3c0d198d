"""What each engine wants that the others do not."""

from dataclasses import dataclass
from typing import Literal

EngineName = Literal["godot", "unity", "unreal", "blender"]


@dataclass(frozen=True)
class Engine:
    """How an engine finds collision shapes.

    Args:
        hull: name of a hull's node, from the asset's name and a number.
        hulls_in_main: whether the engine looks for hulls beside the mesh, in the file of the asset itself.
        body_in_collision: whether it takes a hull for one only beside the mesh that its name tells, so that the file
            of the hulls has to hold that too.
    """

    hull: str = "{name}_hull_{number:02d}"
    hulls_in_main: bool = False
    body_in_collision: bool = False


ENGINES: dict[EngineName | None, Engine] = {
    None: Engine(),
    "godot": Engine("{name}_hull_{number:02d}-convcolonly", hulls_in_main=True),  # becomes a StaticBody with a shape
    "unreal": Engine("UCX_{name}_{number:02d}", body_in_collision=True),  # at the root, never below the mesh
    "unity": Engine(),  # glTFast makes nothing of names: a script reads the hulls' file, or `hulls` of the JSON
    "blender": Engine(),
}
