"""USD, alone or packed with its pictures (USDZ); needs usd-core."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from gen3d.errors import BadInput, Unavailable
from gen3d_export.audit.read import sorted_out
from gen3d_export.audit.scene import Material, Picture, Piece, Role, Scene

INPUTS: dict[str, Role] = {
    "diffuseColor": "base_color",
    "roughness": "roughness",
    "metallic": "metallic",
    "occlusion": "occlusion",
    "normal": "normal",
}


def read(path: Path) -> Scene:
    """Every mesh of the stage, in metres."""
    try:
        from pxr import Usd, UsdGeom
    except ImportError as error:
        cause, remedy = "needs the package usd-core, which is not installed", "pip install 'gen3d[usd]'"
        raise Unavailable(cause, place=str(path), remedy=remedy) from error
    path.open("rb").close()  # a missing file is the same error as for all formats
    try:
        stage = Usd.Stage.Open(str(path))
    except Exception as error:  # USD's own class
        raise BadInput(f"cannot be read as USD: {error}", place=str(path), remedy="export it again") from error
    if UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.y:
        raise BadInput("is not +Y up", place=str(path), remedy="export it with upAxis Y")
    meshes = [prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    pieces = [piece for prim in meshes for piece in _pieces(prim, path, UsdGeom.GetStageMetersPerUnit(stage))]
    return sorted_out(path, pieces, [prim.GetName() for prim in stage.Traverse()])


def _pieces(prim: Any, path: Path, metres: float) -> Iterator[Piece]:
    from pxr import UsdGeom

    mesh = UsdGeom.Mesh(prim)
    if (np.array(mesh.GetFaceVertexCountsAttr().Get()) != 3).any():  # noqa: PLR2004 (triangles)
        raise BadInput("has faces that are no triangles", place=str(path), remedy="triangulate it")
    faces = np.array(mesh.GetFaceVertexIndicesAttr().Get(), dtype=np.int64).reshape(-1, 3)
    world = np.array(mesh.ComputeLocalToWorldTransform(0.0))
    points = np.array(mesh.GetPointsAttr().Get(), dtype=np.float64) @ world[:3, :3] + world[3, :3]
    coordinates = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st")
    yield Piece(
        prim.GetName(),
        points * metres,
        faces,
        normals=_of_vertices(mesh.GetNormalsAttr().Get(), len(points)),
        uv=_of_vertices(coordinates.Get() if coordinates else None, len(points)),
        material=_material(prim, path),
    )


def _of_vertices(values: Any, count: int) -> Float[np.ndarray, "vertices width"] | None:
    """Values where there is one for each vertex."""
    return np.array(values, dtype=np.float64) if values is not None and len(values) == count else None


def _material(prim: Any, path: Path) -> Material | None:
    from pxr import UsdShade

    bound = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()[0]
    if not bound:
        return None
    shader = bound.ComputeSurfaceSource()[0]
    values: dict[Role, Any] = {}
    pictures: dict[Role, Picture] = {}
    for name, role in INPUTS.items():
        source = shader.GetInput(name)
        if source and source.HasConnectedSource():
            pictures[role] = _picture(source.GetConnectedSources()[0][0].source, path)
        elif source:
            values[role] = source.Get()
    values |= dict.fromkeys(pictures, 1.0)  # a picture stands for the value, and a factor of 1
    name = bound.GetPrim().GetName()
    return Material(name, values.get("metallic"), values.get("roughness"), pictures=pictures)


def _picture(texture: Any, path: Path) -> Picture:
    file = texture.GetInput("file").Get()
    wraps = "repeat" in {texture.GetInput(f"wrap{axis}").Get() for axis in "ST" if texture.GetInput(f"wrap{axis}")}
    return Picture(Path(file.path).name, _pixels(file, path), wraps)


def _pixels(file: Any, path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """A picture within the package, or beside the file."""
    if path.suffix.lower() == ".usdz":
        with zipfile.ZipFile(path) as package:
            name = next(name for name in package.namelist() if Path(name).name == Path(file.path).name)
            data = package.read(name)
    else:
        data = Path(file.resolvedPath).read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))
