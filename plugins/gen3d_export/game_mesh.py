"""The exporter `game_mesh`: a field, a surface or another program's mesh as files that a game engine takes."""

import json
import re
from pathlib import Path
from typing import Any, Literal

import trimesh

from gen3d.errors import BadInput, Unsupported
from gen3d.exporter import Exporter
from gen3d.representation import RadianceField, Representation, Surface
from gen3d_export import asset_json
from gen3d_export.assemble import SHARES, Plan, assemble
from gen3d_export.engines import EngineName
from gen3d_export.formats import usdz, web
from gen3d_export.frame import Pivot, metres
from gen3d_export.mesh_paint import MeshPaint
from gen3d_export.paint import FieldPaint, Paint, SurfacePaint
from gen3d_export.presets import PRESETS, Preset
from gen3d_export.sampling import sample_surface
from gen3d_export.source_surface import source_surface
from gen3d_export.sources import about, read_source, unit_of
from gen3d_export.staged import staged
from gen3d_export.surface import field_mesh, whole_mesh
from gen3d_export.write import Format, forget, hull_names, level_file, plain_name, write

DEFAULT = Preset(20_000, 1024, 4, normal_map=False)
"""Without a preset."""

LIMITS = {"triangles": (50, 5_000_000), "texture": (16, 8192), "resolution": (16, 1024), "lods": (0, len(SHARES) - 1)}


class GameMesh(Exporter):
    """A closed mesh within a budget, with baked textures, levels of detail and hulls; +Y up, the pictured side on +Z.

    Args:
        format: glb (textures embedded), obj (with mtl and png), ply (colours at the vertices), usdz; or a list of them.
        preset: the use that decides what else is left out: mobile, prop, hero, film.
        triangles: budget; 20,000 without a preset.
        texture: texels along a side of the textures, a power of two; 1024 without a preset.
        normal_map: bake the detail that the triangles lose; with every preset but mobile.
        occlusion: bake how much of the surroundings each place sees; where there is a normal map.
        lods: coarser levels of detail, of a half, a quarter, a tenth and a twentieth of the triangles.
        collision: convex:N for at most N convex hulls, box, or none.
        pivot: what lies at the origin: the bottom's middle, the center, or what was there (keep).
        height: metres, or text such as 30cm; by default the longest side is 1 m, unless a file says what a unit is.
        engine: godot, unity, unreal or blender: how hulls are named and where they are.
        compress: meshopt or draco: write name.web.glb too, for web pages.
        threshold: density of a field's surface, per unit of length; null finds the one that cameras see.
        resolution: cells of the grid that samples a field, along the longest side of its box.

    Raises:
        BadInput: a number outside of what can be made.
        Unavailable: a format needs a package that is not installed.
    """

    def __init__(
        self,
        format: Format | list[Format] = "glb",  # noqa: A002 (the recipe's key)
        preset: Literal["mobile", "prop", "hero", "film"] | None = None,
        triangles: int | None = None,
        texture: int | None = None,
        normal_map: bool | None = None,
        occlusion: bool | None = None,
        lods: int = 0,
        collision: str = "none",
        pivot: Pivot = "bottom",
        height: float | str | None = None,
        engine: EngineName | None = None,
        compress: web.Compress | None = None,
        threshold: float | None = None,
        resolution: int = 160,
    ) -> None:
        super().__init__()
        for key, value in {"triangles": triangles, "texture": texture, "resolution": resolution, "lods": lods}.items():
            low, high = LIMITS[key]
            if value is not None and not low <= value <= high:
                raise BadInput(f"{key} is {value}", remedy=f"it lies between {low} and {high}")
        if threshold is not None and not 0 < threshold < float("inf"):
            raise BadInput(f"threshold is {threshold}", remedy="it is a density above 0, or null to find one")
        self.formats = list(dict.fromkeys([format] if isinstance(format, str) else format))
        self.preset, self.engine, self.compress = preset, engine, compress
        self.threshold, self.resolution = threshold, resolution
        budget = PRESETS[preset] if preset else DEFAULT
        size, detail = texture or budget.texture, budget.normal_map if normal_map is None else normal_map
        self.plan = Plan(
            triangles=triangles or budget.triangles,
            texture=_power_of_two(size),
            padding=max(budget.padding * size // budget.texture, 2),
            normal_map=detail,
            occlusion=detail if occlusion is None else occlusion,
            lods=lods,
            collision=_collision(collision),
            pivot=pivot,
            height=None if height is None else metres(height),
        )
        self._require()

    def _require(self) -> None:
        if not self.formats:
            raise BadInput("format is empty", remedy="name one or more of glb, obj, ply, usdz")
        if "usdz" in self.formats:
            usdz.require()
        if self.compress:
            web.require(self.compress)

    def export(self, representation: Representation, directory: Path, name: str = "asset") -> list[Path]:
        """Write `name.glb` and whatever else the keys ask for, and `name.json` with its figures.

        Raises:
            Degenerate: there is no surface, or it is flat, or it fills the box.
            Unsupported: the representation is neither, or a field of latents.
            BadInput: the directory cannot be written to.
        """
        whole, paint, threshold = self.original(representation)
        return self._write(whole, paint, directory, name, {"threshold": threshold})

    def export_file(self, file: Path, directory: Path, name: str = "asset") -> list[Path]:
        """Do the same to the mesh of a GLB, glTF, OBJ, PLY or STL file.

        Raises:
            Degenerate: it is no object.
            BadInput: the file cannot be used, or the directory cannot be written to.
            Unavailable: reading it needs a package that is not installed.
        """
        source = read_source(file)
        known = {"threshold": None, "source": about(file)}
        return self._write(source_surface(source), MeshPaint(source), directory, name, known, unit_of(file))

    def original(self, representation: Representation) -> tuple[trimesh.Trimesh, Paint, float | None]:
        """The dense mesh, its colours, and the density at which a field was cut."""
        if isinstance(representation, Surface):
            whole = whole_mesh(representation)
            return whole, SurfacePaint(representation), None
        field = radiance_field(representation)
        grid, threshold = sample_surface(field, self.resolution, self.threshold)
        return field_mesh(grid, threshold), FieldPaint(field, threshold), threshold

    def _write(
        self,
        whole: trimesh.Trimesh,
        paint: Paint,
        directory: Path,
        stem: str,
        about: dict[str, Any],
        unit: float | None = None,
    ) -> list[Path]:
        """Everything between a mesh with its colours and the finished files."""
        asset = assemble(plain_name(stem), whole, paint, self.plan, unit)
        main = level_file(stem, 0, self.formats[0])
        files = [level_file(stem, level, self.formats[0]) for level in range(len(asset.levels))]
        known = asset_json.figures(asset, files, hull_names(asset, self.engine))
        known |= {"pivot": self.plan.pivot, "size_assumed": self.plan.height is None and unit is None}
        known |= {"preset": self.preset, "engine": self.engine, **about, "provenance": dict(self.provenance)}
        with staged(directory) as folder:
            write(asset, folder, stem, self.formats, self.engine, self.compress)
            (folder / f"{stem}.json").write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
            names = sorted(path.name for path in folder.iterdir())
        written = [directory / main, *(directory / other for other in names if other != main)]
        forget(directory, stem, written)
        return written


def _power_of_two(size: int) -> int:
    if size & (size - 1):
        below = 1 << (size.bit_length() - 1)
        raise BadInput(f"texture is {size}", remedy=f"engines want a power of two: {below} or {2 * below}")
    return size


def _collision(kind: str) -> str:
    if not re.fullmatch(r"none|box|convex:([1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-6])", kind):
        raise BadInput(f"collision is {kind!r}", remedy="it is convex:N with N from 1 to 256, box, or none")
    return kind


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
