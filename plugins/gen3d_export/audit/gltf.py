"""glTF 2.0, as one binary file or as JSON with its buffers and pictures."""

import base64
import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from jaxtyping import Float, Int, Num
from PIL import Image

from gen3d.errors import BadInput, Unsupported
from gen3d_export.audit.draco import DRACO, decompressed
from gen3d_export.audit.read import sorted_out
from gen3d_export.audit.scene import Material, Picture, Piece, Role, Scene
from gen3d_export.audit.transforms import matrix, moved

COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
JSON_CHUNK, BINARY_CHUNK = b"JSON", b"BIN\0"
TRIANGLES, STRIP, FAN = 4, 5, 6
REPEAT, CLAMP = 10497, 33071
SRGB_LINEAR_LIMIT = 0.0031308

UNREAD = ("EXT_meshopt_compression", "KHR_texture_basisu")
"""Extensions that hide what is looked at, and that nothing from the package index decompresses."""


def read(path: Path) -> Scene:
    """The scene that a reader shows by default."""
    file = Gltf(path)
    hidden = [name for name in file.required if name in UNREAD]
    if hidden:
        remedy = "check the file from which it was compressed"
        raise Unsupported(f"is compressed with {', '.join(hidden)}", place=str(path), remedy=remedy)
    return sorted_out(path, list(file.pieces()), file.names(), file.required, tuple(file.files))


class Gltf:
    """A file's tree and what it refers to.

    Args:
        path: of a .glb or a .gltf.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.files = path, [path]
        self.binary = b""
        self.tree: dict[str, Any] = json.loads(self._chunks(path.read_bytes()))
        if self.tree["asset"]["version"] != "2.0":
            cause = f"is glTF {self.tree['asset']['version']}"
            raise BadInput(cause, place=str(path), remedy="give a file of glTF 2.0")
        self.required = tuple(self.tree.get("extensionsRequired", ()))
        self._materials: dict[int, Material] = {}
        self._pictures: dict[int, Picture] = {}

    def _chunks(self, data: bytes) -> bytes:
        """The JSON; keeps the binary chunk."""
        if data[:4] != b"glTF":
            return data
        at = 12
        chunks: dict[bytes, bytes] = {}
        while at + 8 <= len(data):
            length, kind = struct.unpack_from("<I4s", data, at)
            chunks.setdefault(kind, data[at + 8 : at + 8 + length])
            at += 8 + length
        if struct.unpack_from("<I", data, 8)[0] != len(data) or at != len(data):
            raise BadInput("is cut off", place=str(self.path), remedy="export or copy it again")
        self.binary = chunks.get(BINARY_CHUNK, b"")
        return chunks[JSON_CHUNK]

    def names(self) -> list[str]:
        """Of nodes, meshes, materials and pictures."""
        kinds = ("nodes", "meshes", "materials", "images")
        return [entry.get("name", "") for kind in kinds for entry in self.tree.get(kind, ())]

    def pieces(self) -> Iterator[Piece]:
        """Each primitive of the default scene, in the world."""
        scenes = self.tree.get("scenes") or [{"nodes": range(len(self.tree.get("nodes", ())))}]
        waiting = [(node, np.eye(4)) for node in scenes[self.tree.get("scene", 0)].get("nodes", ())]
        for _ in range(len(self.tree.get("nodes", ()))):  # more would be a loop
            if not waiting:
                return
            index, parent = waiting.pop()
            node = self.tree["nodes"][index]
            world = parent @ matrix(node)
            waiting += [(child, world) for child in node.get("children", ())]
            if "mesh" in node:
                mesh = self.tree["meshes"][node["mesh"]]
                name = node.get("name") or mesh.get("name") or "mesh"
                yield from (moved(self.piece(name, primitive), world) for primitive in mesh["primitives"])

    def piece(self, name: str, primitive: dict[str, Any]) -> Piece:
        """One primitive where its own coordinates put it."""
        if DRACO in primitive.get("extensions", {}):
            values, order = decompressed(primitive, self.view, self.path)
        else:
            values = {key: self.accessor(index) for key, index in primitive["attributes"].items()}
            order = self.accessor(primitive["indices"])[:, 0] if "indices" in primitive else None
        uv, color = values.get("TEXCOORD_0"), values.get("COLOR_0")
        return Piece(
            name,
            values["POSITION"].astype(np.float64),
            triangles(order, len(values["POSITION"]), primitive.get("mode", TRIANGLES)),
            normals=values.get("NORMAL"),
            uv=None if uv is None else np.stack([uv[:, 0], 1 - uv[:, 1]], axis=-1),
            tangents=values.get("TANGENT"),
            colors=None if color is None else srgb(color[:, :3]),
            material=self.material(primitive["material"]) if "material" in primitive else None,
        )

    def material(self, index: int) -> Material:
        """A material with its pictures; the same object each time."""
        if index not in self._materials:
            entry = self.tree["materials"][index]
            surface = entry.get("pbrMetallicRoughness", {})
            slots: dict[Role, Any] = {
                "base_color": surface.get("baseColorTexture"),
                "metallic_roughness": surface.get("metallicRoughnessTexture"),
                "normal": entry.get("normalTexture"),
                "occlusion": entry.get("occlusionTexture"),
                "emissive": entry.get("emissiveTexture"),
            }
            red, green, blue, alpha = surface.get("baseColorFactor", (1.0, 1.0, 1.0, 1.0))
            self._materials[index] = Material(
                entry.get("name", ""),
                surface.get("metallicFactor"),
                surface.get("roughnessFactor"),
                (red, green, blue),
                1.0 if entry.get("alphaMode", "OPAQUE") == "OPAQUE" else alpha,
                {role: self.picture(slot["index"]) for role, slot in slots.items() if slot},
            )
        return self._materials[index]

    def picture(self, index: int) -> Picture:
        """A texture's picture; the same object for each texture that shares picture and sampler."""
        texture = self.tree["textures"][index]
        sampler = self.tree.get("samplers", [])[texture["sampler"]] if "sampler" in texture else {}
        source = texture.get("extensions", {}).get("EXT_texture_webp", texture)["source"]
        if source not in self._pictures:
            entry = self.tree["images"][source]
            data = self.view(entry["bufferView"]) if "bufferView" in entry else self.outside(entry["uri"])
            with Image.open(io.BytesIO(data)) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            wraps = CLAMP not in (sampler.get("wrapS", REPEAT), sampler.get("wrapT", REPEAT))
            self._pictures[source] = Picture(entry.get("name", f"image {source}"), pixels, wraps)
        return self._pictures[source]

    def accessor(self, index: int) -> Num[np.ndarray, "count width"]:
        """The values that an accessor describes, as they are meant: normalised where it says so."""
        entry = self.tree["accessors"][index]
        if "sparse" in entry:
            raise Unsupported("has sparse accessors", place=str(self.path), remedy="export it without")
        kind, width, count = np.dtype(COMPONENTS[entry["componentType"]]), WIDTHS[entry["type"]], entry["count"]
        if "bufferView" not in entry:
            return np.zeros((count, width), kind)
        data, start = self.view(entry["bufferView"]), entry.get("byteOffset", 0)
        stride = self.tree["bufferViews"][entry["bufferView"]].get("byteStride") or kind.itemsize * width
        values = np.ndarray((count, width), kind, data, start, (stride, kind.itemsize))
        if not entry.get("normalized"):
            return values
        return np.maximum(values / np.iinfo(kind).max, -1.0).astype(np.float32)

    def view(self, index: int) -> bytes:
        """The bytes of a buffer view."""
        entry = self.tree["bufferViews"][index]
        buffer = self.tree["buffers"][entry["buffer"]]
        data = self.outside(buffer["uri"]) if "uri" in buffer else self.binary
        start = entry.get("byteOffset", 0)
        if start + entry["byteLength"] > len(data):
            raise BadInput("is broken: its buffer is too short", place=str(self.path), remedy="export it again")
        return data[start : start + entry["byteLength"]]

    def outside(self, uri: str) -> bytes:
        """What a data URI holds, or a file beside this one."""
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition(",")[2])
        path = self.path.parent / unquote(uri)
        self.files.append(path)
        return path.read_bytes()


def triangles(order: np.ndarray | None, count: int, mode: int) -> Int[np.ndarray, "faces 3"]:
    """Faces from the order in which vertices are drawn (glTF 2.0, section 3.7.2.1); none from points and lines."""
    order = np.arange(count) if order is None else order.astype(np.int64)
    if mode == TRIANGLES:
        return order[: len(order) // 3 * 3].reshape(-1, 3)
    if mode == FAN:
        return np.stack([order[1:-1], order[2:], np.full(max(len(order) - 2, 0), order[0])], axis=-1)
    if mode != STRIP:
        return np.zeros((0, 3), dtype=np.int64)
    odd = np.arange(max(len(order) - 2, 0)) % 2
    at = np.arange(len(odd))
    return np.stack([order[at], order[at + 1 + odd], order[at + 2 - odd]], axis=-1)


def srgb(linear: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
    """Linear light as sRGB (IEC 61966-2-1)."""
    value = np.asarray(linear, dtype=np.float64).clip(0, 1)
    return np.where(value <= SRGB_LINEAR_LIMIT, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)
