"""The materials of a glTF file."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from gen3d.errors import BadInput
from gen3d_export.gltf_file import GltfFile
from gen3d_export.source_mesh import SourceMaterial

log = logging.getLogger(__name__)

Picture = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Coordinates:
    """Which texture coordinates a material uses, and how it moves them (KHR_texture_transform).

    Args:
        index: of TEXCOORD_n.
        offset: added last.
        rotation: radians, counter-clockwise.
        scale: applied first.
        used: whether the material has any picture.
    """

    index: int = 0
    offset: tuple[float, float] = (0.0, 0.0)
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    used: bool = True

    @classmethod
    def of(cls, info: dict[str, Any]) -> "Coordinates":
        """What a reference to a texture says."""
        moved = info.get("extensions", {}).get("KHR_texture_transform", {})
        index = moved.get("texCoord", info.get("texCoord", 0))
        offset, scale = tuple(moved.get("offset", (0.0, 0.0))), tuple(moved.get("scale", (1.0, 1.0)))
        return cls(index, offset, moved.get("rotation", 0.0), scale)

    def __call__(self, uv: Float[np.ndarray, "vertices 2"]) -> Float[np.ndarray, "vertices 2"]:
        """Coordinates of the file, v downwards, as ours, v upwards."""
        cos, sin = np.cos(self.rotation), np.sin(self.rotation)
        moved = (uv * self.scale) @ np.array([[cos, -sin], [sin, cos]]) + self.offset
        return np.stack([moved[:, 0], 1 - moved[:, 1]], axis=-1)


def coordinates(file: GltfFile, index: int | None) -> Coordinates:
    """Those of the material's first picture: the base colour's, where there is one."""
    infos = _infos(_entry(file, index)).values()
    return next((Coordinates.of(info) for info in infos), Coordinates(used=False))


def material(file: GltfFile, index: int | None) -> SourceMaterial:
    """Factors and pictures. Raises BadInput for a picture that cannot be decoded."""
    entry, mapped = _entry(file, index), coordinates(file, index)
    surface, infos = entry.get("pbrMetallicRoughness", {}), _infos(entry)
    maps: dict[str, Picture] = {}
    for key, info in infos.items():
        if Coordinates.of(info) != mapped:
            log.warning("%s: material %s: %s has texture coordinates of its own: it is left out", file.path, index, key)
        else:
            maps[key] = file.image(_image(file, info["index"]))
    old = entry.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness", {})
    color = old.get("diffuseFactor") or surface.get("baseColorFactor", (1, 1, 1))
    metallic, roughness = surface.get("metallicFactor"), surface.get("roughnessFactor")
    if metallic is None and "metallic_roughness_map" not in infos and entry and not old:
        # glTF's own default is a mirror of metal, which hardly any program that leaves this out means.
        log.warning("%s: material %s does not say how metallic it is: not at all, then", file.path, index)
    bare = metallic is None and "metallic_roughness_map" not in infos
    metallic, default = (0.0, 0.9) if bare else (1.0 if metallic is None else metallic, 1.0)
    return SourceMaterial(
        (float(color[0]), float(color[1]), float(color[2])),
        metallic,
        default if roughness is None else roughness,
        **maps,
    )


def _entry(file: GltfFile, index: int | None) -> dict[str, Any]:
    return {} if index is None else file.items("materials")[index]


def _infos(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The references to textures by what they are to us, the base colour's first."""
    surface = entry.get("pbrMetallicRoughness", {})
    old = entry.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness", {})
    found = {
        "base_color_map": old.get("diffuseTexture") or surface.get("baseColorTexture"),
        "metallic_roughness_map": surface.get("metallicRoughnessTexture"),
        "normal_map": entry.get("normalTexture"),
        "occlusion_map": entry.get("occlusionTexture"),
    }
    return {key: info for key, info in found.items() if info}


def _image(file: GltfFile, index: int) -> int:
    """The picture of a texture: in another format, where an extension has one, only if there is no other."""
    texture = file.items("textures")[index]
    webp = texture.get("extensions", {}).get("EXT_texture_webp", {})
    image = texture.get("source", webp.get("source"))
    if image is None:
        formats = ", ".join(texture.get("extensions", {})) or "none"
        remedy = "write the file again with PNG or JPEG pictures"
        raise BadInput(f"has a picture that cannot be read here: {formats}", place=str(file.path), remedy=remedy)
    return int(image)
