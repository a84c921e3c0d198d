"""Meshes that other programs made, read from their files."""

import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import UInt8
from trimesh.visual import color

from gen3d.errors import BadInput, Gen3dError
from gen3d.provenance import sha256
from gen3d_export.frame import from_gltf, from_z_up
from gen3d_export.gltf_file import GltfFile, decoded, read_beside
from gen3d_export.gltf_source import read_gltf
from gen3d_export.source_mesh import SourceMaterial, SourceMesh
from gen3d_export.source_parts import SourcePart, joined

log = logging.getLogger(__name__)

GLTF, OTHERS = (".glb", ".gltf"), (".obj", ".ply", ".stl")

FACTORS = {"pm": 0.0, "pr": 0.9}
"""Metallic and roughness of an MTL, and what they are where it does not say."""

STUMBLES = (ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, OverflowError, RecursionError)
"""What readers raise over files that are not what they say."""


def read_source(path: Path) -> SourceMesh:
    """All triangles of a GLB, glTF, OBJ, PLY or STL file, in our frame and the file's units.

    glTF, OBJ and PLY are taken to have +Y up, STL +Z.

    Raises:
        BadInput: it cannot be read, is damaged, or holds no triangles.
        Unavailable: reading it needs a package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (*GLTF, *OTHERS):
        raise BadInput(f"{suffix or 'a file without a suffix'} is not read", place=str(path), remedy=_remedy())
    try:
        source = read_gltf(path) if suffix in GLTF else _read_other(path, suffix)
    except Gen3dError:
        raise
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}", place=str(path)) from error
    except STUMBLES as error:
        cause = f"is damaged, or no mesh ({type(error).__name__}: {error})"
        raise BadInput(cause, place=str(path), remedy="export it again") from error
    if not np.isfinite(source.vertices).all():
        raise BadInput("has vertices that are not finite numbers", place=str(path), remedy="repair or export it again")
    return source


def unit_of(path: Path) -> float | None:
    """Metres of a unit, where the format says so."""
    return 1.0 if path.suffix.lower() in GLTF else None


def about(path: Path) -> dict[str, Any]:
    """What becomes part of the asset's provenance: the file's name and content, and whose it says it is."""
    known = {"file": path.name, "sha256": sha256(path)}
    said = GltfFile(path).tree["asset"] if path.suffix.lower() in GLTF else {}
    return known | {key: str(said[key]) for key in ("copyright", "generator") if key in said}


def _remedy() -> str:
    return f"give a {', '.join((*GLTF, *OTHERS))} file; other formats: by way of Blender"


def _read_other(path: Path, suffix: str) -> SourceMesh:
    resolver = Beside(path)
    with path.open("rb") as file:
        try:
            scene = trimesh.load_scene(file, file_type=suffix[1:], resolver=resolver, process=False)
        except Exception as error:  # readers of broken files raise whatever they stumble over
            raise ValueError(error) from error
    turn = from_z_up if suffix == ".stl" else from_gltf
    parts: list[SourcePart] = []
    materials: list[SourceMaterial] = []
    for mesh in scene.dump():
        if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces):
            normals = np.asarray(mesh.vertex_normals) if suffix != ".stl" else None
            uv, colors, material = _paint(mesh, resolver)
            vertices = turn(np.asarray(mesh.vertices, dtype=np.float64))
            normals = None if normals is None else turn(normals)
            parts.append(SourcePart(vertices, np.asarray(mesh.faces), normals, uv, colors, len(materials)))
            materials.append(material)
    if not parts:
        raise BadInput("holds no triangles", place=str(path), remedy="export it with its geometry, as triangles")
    return joined(parts, tuple(materials))


def _paint(mesh: trimesh.Trimesh, resolver: "Beside") -> tuple[np.ndarray | None, np.ndarray | None, SourceMaterial]:
    """Texture coordinates, linear vertex colours, and the material."""
    visual = mesh.visual
    if visual.kind != "texture":
        colors = _linear(visual.vertex_colors) if visual.kind is not None else None
        return None, colors, SourceMaterial()
    simple = visual.material
    picture = getattr(simple, "image", None) or getattr(simple, "baseColorTexture", None)
    said = {key.lower(): value for key, value in (getattr(simple, "kwargs", None) or {}).items()}
    maps = _maps(said, resolver)
    if picture is not None:
        maps["base_color_map"] = np.asarray(picture.convert("RGB"))
    # Programs write any Kd beside a picture, and most readers show the picture alone.
    diffuse = getattr(simple, "diffuse", None)
    factor = (1.0, 1.0, 1.0) if picture is not None or diffuse is None else tuple(map(float, _linear(diffuse)))
    uv = None if visual.uv is None or not maps else np.asarray(visual.uv, dtype=np.float64)
    kept = maps if uv is not None else {}
    metallic, roughness = (
        float(said[key][0]) if key in said else 1.0 if f"map_{key}" in said else default
        for key, default in FACTORS.items()
    )
    return uv, None, SourceMaterial((factor[0], factor[1], factor[2]), metallic, roughness, **kept)


def _maps(said: dict[str, Any], resolver: "Beside") -> dict[str, UInt8[np.ndarray, "height width 3"]]:
    """The pictures of an MTL's extension for physically based materials."""
    found = {key: resolver.picture(" ".join(said[key])) for key in ("map_pr", "map_pm", "norm") if key in said}
    rough, metal, normal = (found.get(key) for key in ("map_pr", "map_pm", "norm"))
    result = {} if normal is None else {"normal_map": normal}
    one = rough if rough is not None else metal
    if one is not None:
        packed = np.full_like(one, 255)
        for channel, picture in ((1, rough), (2, metal)):
            if picture is not None and picture.shape == one.shape:
                packed[..., channel] = picture[..., 0]
        result["metallic_roughness_map"] = packed
    return result


def _linear(values: Any) -> np.ndarray:
    """sRGB, bytes or floats, as linear light."""
    return np.asarray(color.srgb_to_linear(color.to_float(np.asarray(values))[..., :3]), dtype=np.float64)


class Beside(trimesh.resolvers.Resolver):
    """Files in the folder of another one, and no others; each that cannot be had is a warning.

    Args:
        path: of that file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, name: str) -> bytes:
        """The content. Raises FileNotFoundError where it is not there, or elsewhere."""
        try:
            return read_beside(self.path, name.replace("\\", "/").strip())
        except BadInput as error:
            log.warning("%s: it is left out", str(error).partition("\n")[0])
            raise FileNotFoundError(name) from error

    def picture(self, name: str) -> UInt8[np.ndarray, "height width 3"] | None:
        """A picture; None where it cannot be had."""
        try:
            return decoded(self.get(name), f"{self.path.parent / name}")
        except (FileNotFoundError, BadInput):
            return None

    def keys(self) -> list[str]:
        """None are listed."""
        return []

    def namespaced(self, namespace: str) -> "Beside":
        """The same folder: names below it are names in it."""
        return self

    def write(self, name: str, data: bytes) -> None:
        """Nothing is written."""
        raise NotImplementedError
