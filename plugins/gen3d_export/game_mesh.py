"""The exporter `game_mesh`: a radiance field or a surface as a mesh that a game engine reads."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import trimesh

from gen3d.density_grid import sample_density
from gen3d.errors import BadInput, Unsupported
from gen3d.exporter import Exporter
from gen3d.representation import RadianceField, Representation, Surface
from gen3d.threshold import automatic_threshold
from gen3d_export.bake import bake, vertex_colors
from gen3d_export.files import staged, write_glb, write_obj, write_ply
from gen3d_export.frame import to_gltf
from gen3d_export.paint import FieldPaint, Paint, SurfacePaint
from gen3d_export.surface import decimate, mesh_of, whole_mesh
from gen3d_export.unwrap import smooth_normals, unwrap

LIMITS = {"triangles": (50, 5_000_000), "texture": (16, 8192), "resolution": (16, 1024)}


class GameMesh(Exporter):
    """A field's isosurface or a surface itself, decimated, with a baked base colour; +Y up, the pictured side on +Z.

    Args:
        format: glb (texture embedded), obj (with mtl and png) or ply (colours at the vertices, no texture).
        triangles: budget.
        texture: texels along a side of the texture.
        threshold: density of a field's surface, per unit of length; null finds the one that cameras see.
        resolution: cells of the grid that samples a field, along the longest side of its box.

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
            Unsupported: the representation is neither, or a field of latents.
            BadInput: the directory cannot be written to.
        """
        mesh, paint, threshold = self._meshed(representation)
        main = f"{name}.{self.format}"
        with staged(directory) as folder:
            figures = self._write(mesh, paint, folder / main, name) | {"threshold": threshold}
            (folder / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
            names = sorted(path.name for path in folder.iterdir())
        return [directory / main, *(directory / other for other in names if other != main)]

    def _meshed(self, representation: Representation) -> tuple[trimesh.Trimesh, Paint, float | None]:
        """A mesh within the budget, its colours, and the density at which a field was cut."""
        if isinstance(representation, Surface):
            whole = whole_mesh(representation)
            return decimate(whole, self.triangles), SurfacePaint(representation, whole), None
        field = radiance_field(representation)
        grid = sample_density(field, self.resolution)
        threshold = automatic_threshold(grid) if self.threshold is None else self.threshold
        return mesh_of(grid, threshold, self.triangles), FieldPaint(field, threshold), threshold

    def _write(self, mesh: trimesh.Trimesh, paint: Paint, path: Path, name: str) -> dict[str, Any]:
        """Colour and write the mesh; its figures."""
        vertices, texture = np.asarray(mesh.vertices), None
        if self.format == "ply":
            write_ply(path, mesh, vertex_colors(paint, vertices, smooth_normals(mesh)))
        else:
            charted, texture = unwrap(mesh, self.texture), self.texture
            write = write_glb if self.format == "glb" else write_obj
            write(path, charted, bake(paint, charted, texture), name)
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
        }


def radiance_field(representation: Representation) -> RadianceField:
    """The representation as a field of colours. Raises Unsupported, with the way out, where it is none."""
    if not isinstance(representation, RadianceField):
        raise Unsupported(
            f"game_mesh exports radiance fields and surfaces, and {type(representation).__name__} is neither",
            remedy="choose a representation with a density and colours, such as voxel",
        )
    if representation.space != "rgb":
        raise Unsupported(
            "the field holds latents: there are no colours to bake",
            remedy="add a stage after it that fits colours (representation.channels: rgb, from: that stage)",
        )
    return representation
