"""The exporter `game_mesh`: a radiance field as a mesh that a game engine reads."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import trimesh

from gen3d.errors import BadInput, Unsupported
from gen3d.exporter import Exporter
from gen3d.representation import RadianceField, Representation
from gen3d_export.bake import bake, vertex_colors
from gen3d_export.files import staged, write_glb, write_obj, write_ply
from gen3d_export.frame import to_gltf
from gen3d_export.grid import sample_density
from gen3d_export.surface import mesh_of
from gen3d_export.threshold import automatic_threshold
from gen3d_export.unwrap import smooth_normals, unwrap

LIMITS = {"triangles": (50, 5_000_000), "texture": (16, 8192), "resolution": (16, 1024)}


class GameMesh(Exporter):
    """Isosurface, decimation, charts and a baked base colour; +Y up, the pictured side on +Z, the field's own scale.

    Args:
        format: glb (texture embedded), obj (with mtl and png) or ply (colours at the vertices, no texture).
        triangles: budget.
        texture: texels along a side of the texture.
        threshold: density of the surface, per unit of length; null finds the one that cameras see.
        resolution: cells of the sampling grid along the longest side of the field's box.

    Raises:
        BadInput: a number outside of what can be made.
    """

    def __init__(
        self,
        format: Literal["glb", "obj", "ply"] = "glb",  # noqa: A002 (the recipe's key)
        triangles: int = 20_000,
        texture: int = 1024,
        threshold: float | None = None,
        resolution: int = 160,
    ) -> None:
        super().__init__()
        for key, value in {"triangles": triangles, "texture": texture, "resolution": resolution}.items():
            low, high = LIMITS[key]
            if not low <= value <= high:
                raise BadInput(f"{key} is {value}", remedy=f"it lies between {low} and {high}")
        if threshold is not None and not 0 < threshold < float("inf"):
            raise BadInput(f"threshold is {threshold}", remedy="it is a density above 0, or null to find one")
        self.format, self.triangles, self.texture = format, triangles, texture
        self.threshold, self.resolution = threshold, resolution

    def export(self, representation: Representation, directory: Path, name: str = "asset") -> list[Path]:
        """Write `name.glb` (or .obj with .mtl and .png, or .ply) and `name.json` with its figures.

        Raises:
            Degenerate: there is no surface, or it is flat, or it fills the box.
            Unsupported: the representation is no radiance field, or one of latents.
            BadInput: the directory cannot be written to.
        """
        field = radiance_field(representation)
        grid = sample_density(field, self.resolution)
        threshold = automatic_threshold(grid) if self.threshold is None else self.threshold
        mesh = mesh_of(grid, threshold, self.triangles)
        main = f"{name}.{self.format}"
        with staged(directory) as folder:
            figures = self._write(field, mesh, threshold, folder / main, name)
            (folder / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
            names = sorted(path.name for path in folder.iterdir())
        return [directory / main, *(directory / other for other in names if other != main)]

    def _write(
        self, field: RadianceField, mesh: trimesh.Trimesh, threshold: float, path: Path, name: str
    ) -> dict[str, Any]:
        """Colour and write the mesh; its figures."""
        vertices, texture = np.asarray(mesh.vertices), None
        if self.format == "ply":
            colors = vertex_colors(field, vertices, smooth_normals(mesh), threshold)
            write_ply(path, mesh, colors)
        else:
            charted, texture = unwrap(mesh, self.texture), self.texture
            write = write_glb if self.format == "glb" else write_obj
            write(path, charted, bake(field, charted, threshold, texture), name)
            vertices = charted.vertices
        places = to_gltf(vertices)
        return {
            "file": path.name,
            "triangles": len(mesh.faces),
            "vertices": len(vertices),
            "watertight": bool(mesh.is_watertight),
            "bounds": [places.min(axis=0).round(6).tolist(), places.max(axis=0).round(6).tolist()],
            "up": "+Y",
            "front": "+Z",
            "texture": texture,
            "threshold": threshold,
        }


def radiance_field(representation: Representation) -> RadianceField:
    """The representation as a field of colours. Raises Unsupported, with the way out, where it is none."""
    if not isinstance(representation, RadianceField):
        raise Unsupported(
            f"game_mesh exports radiance fields, and {type(representation).__name__} is none",
            remedy="choose a representation with a density and colours, such as voxel",
        )
    if representation.space != "rgb":
        raise Unsupported(
            "the field holds latents: there are no colours to bake",
            remedy="add a stage after it that fits colours (representation.channels: rgb, from: that stage)",
        )
    return representation
