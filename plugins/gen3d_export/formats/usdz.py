"""USDZ, for Apple's viewers and for USD pipelines; needs the extra `usd`."""

import tempfile
from pathlib import Path
from typing import Any

from gen3d.errors import Unavailable
from gen3d_export.asset import Body, Maps
from gen3d_export.formats.pictures import METALLIC, ROUGHNESS, png


def require() -> None:
    """Raises Unavailable, with the way to get it, where OpenUSD is not installed."""
    try:
        import pxr.UsdUtils  # noqa: F401
    except ImportError as error:
        remedy = "pip install 'gen3d[usd]', or choose another format"
        raise Unavailable("USDZ needs the package usd-core, which is not installed", remedy=remedy) from error


def write_usdz(path: Path, name: str, body: Body) -> None:
    """An uncompressed archive whose files begin at multiples of 64 bytes: the mesh, then its pictures.

    Raises:
        Unavailable: OpenUSD is not installed.
        OSError: the file could not be written.
    """
    require()
    from pxr import Sdf, Tf, Usd, UsdGeom, UsdUtils

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        layer = Path(folder, f"{name}.usdc")
        try:
            stage = Usd.Stage.CreateNew(str(layer))
            UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
            UsdGeom.SetStageMetersPerUnit(stage, 1.0)
            root = UsdGeom.Xform.Define(stage, f"/{Tf.MakeValidIdentifier(name)}").GetPrim()
            stage.SetDefaultPrim(root)
            Usd.ModelAPI(root).SetKind("component")
            _bind(_mesh(stage, root, body), _material(stage, root, body.maps, Path(folder)))
            stage.GetRootLayer().Save()
            packed = UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(layer)), str(path))
        except Tf.ErrorException as error:
            raise OSError(f"USD: {error}") from error
    if not packed:
        raise OSError("USD could not write the package")


def _mesh(stage: Any, root: Any, body: Body) -> Any:
    from pxr import Sdf, UsdGeom, Vt

    mesh = UsdGeom.Mesh.Define(stage, root.GetPath().AppendChild("mesh"))
    vertices = body.vertices.astype("float32")
    points = Vt.Vec3fArray.FromNumpy(vertices)
    mesh.CreatePointsAttr(points)
    mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(points))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray([3] * len(body.faces)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(body.faces.ravel().astype("int32")))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(body.normals.astype("float32")))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    uv = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex)
    uv.Set(Vt.Vec2fArray.FromNumpy(body.uv.astype("float32")))
    return mesh


def _bind(mesh: Any, material: Any) -> None:
    from pxr import UsdShade

    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)


def _material(stage: Any, root: Any, maps: Maps, folder: Path) -> Any:
    """UsdPreviewSurface, its pictures in `folder`."""
    from pxr import Sdf, UsdShade

    material = UsdShade.Material.Define(stage, root.GetPath().AppendChild("material"))
    place = material.GetPath()
    surface = UsdShade.Shader.Define(stage, place.AppendChild("surface"))
    surface.CreateIdAttr("UsdPreviewSurface")
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    reader = UsdShade.Shader.Define(stage, place.AppendChild("uv"))
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    reader.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    color, number, vector = Sdf.ValueTypeNames.Color3f, Sdf.ValueTypeNames.Float, Sdf.ValueTypeNames.Normal3f
    for key, value in {"metallic": METALLIC, "roughness": ROUGHNESS}.items():
        surface.CreateInput(key, number).Set(value)
    pictures = {"base_color": (maps.base_color, {"diffuseColor": ("rgb", color)})}
    if maps.orm is not None:
        channels = {"occlusion": ("r", number), "roughness": ("g", number), "metallic": ("b", number)}
        pictures["orm"] = (maps.orm, channels)
    if maps.normal is not None:
        pictures["normal"] = (maps.normal, {"normal": ("rgb", vector)})
    for name, (picture, inputs) in pictures.items():
        (folder / f"{name}.png").write_bytes(png(picture))
        texture = _texture(stage, place.AppendChild(name), reader, f"{name}.png", linear=name != "base_color")
        if name == "normal":  # from [0, 1] to [-1, 1]
            texture.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set((2, 2, 2, 1))
            texture.CreateInput("bias", Sdf.ValueTypeNames.Float4).Set((-1, -1, -1, 0))
        for key, (output, kind) in inputs.items():
            source = texture.CreateOutput(output, number if len(output) == 1 else Sdf.ValueTypeNames.Float3)
            surface.CreateInput(key, kind).ConnectToSource(source)
    return material


def _texture(stage: Any, place: Any, reader: Any, file: str, *, linear: bool) -> Any:
    from pxr import Sdf, UsdShade

    texture = UsdShade.Shader.Define(stage, place)
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(f"./{file}")
    texture.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(reader.ConnectableAPI(), "result")
    texture.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("raw" if linear else "sRGB")
    for axis in "ST":
        texture.CreateInput(f"wrap{axis}", Sdf.ValueTypeNames.Token).Set("clamp")
    return texture
