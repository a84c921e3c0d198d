"""Binary glTF 2.0 without required extensions."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gen3d_export.asset import Body, Hull, Maps
from gen3d_export.formats.pictures import METALLIC, ROUGHNESS, Encode, mime, png

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
COMPONENTS = {np.dtype(np.float32): 5126, np.dtype(np.uint16): 5123, np.dtype(np.uint32): 5125}
KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
SAMPLER = {"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}
"""Linear, mipmaps blended; clamped, so that the picture's left edge is not mixed into its right one."""

SMALL = 65_535
"""Vertices up to which 16 bits hold an index; the last value of all restarts primitives (glTF 2.0, section 3.7.2)."""


def write_glb(path: Path, name: str, body: Body | None, hulls: Mapping[str, Hull] | None = None) -> None:
    """One node, one mesh, one material, and the hulls as further nodes beside it, by their names."""
    path.write_bytes(glb(name, body, hulls))


def glb(name: str, body: Body | None, hulls: Mapping[str, Hull] | None = None, base_color: Encode = png) -> bytes:
    """The bytes of such a file; `base_color` encodes the picture that may lose the last bit."""
    file = GlbFile()
    if body is not None:
        file.add_body(name, body, base_color)
    for node, hull in (hulls or {}).items():
        file.add_mesh(node, {"POSITION": hull.vertices}, hull.faces)
    return file.bytes()


def attributes(body: Body) -> dict[str, np.ndarray]:
    """What each vertex has, as glTF names and counts it: v runs downwards there."""
    uv = np.stack([body.uv[:, 0], 1 - body.uv[:, 1]], axis=-1)
    result = {"POSITION": body.vertices, "NORMAL": body.normals, "TEXCOORD_0": uv}
    return result if body.tangents is None else {**result, "TANGENT": body.tangents}


class GlbFile:
    """A scene and its binary chunk, while they are put together.

    Attributes:
        tree: what will be the JSON chunk.
        data: what will be the binary chunk.
    """

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {"asset": {"version": "2.0", "generator": "gen3d"}, "scene": 0}
        self.tree |= {"scenes": [{"nodes": []}], "nodes": [], "meshes": [], "accessors": [], "bufferViews": []}
        self.data = bytearray()

    def add_body(self, name: str, body: Body, base_color: Encode = png) -> None:
        """The mesh with its material."""
        self.add_material(name, body.maps, base_color)
        self.add_mesh(name, attributes(body), body.faces, material=0)

    def add_mesh(self, name: str, vertices: Mapping[str, np.ndarray], faces: np.ndarray, **more: Any) -> None:
        """A node at the root with triangles."""
        stored = {key: self.vertices(values, limits=key == "POSITION") for key, values in vertices.items()}
        primitive = {"attributes": stored, "indices": self.indices(faces, len(vertices["POSITION"])), "mode": 4}
        self.add_node(name, primitive | more)

    def add_node(self, name: str, primitive: dict[str, Any]) -> None:
        """A node at the root whose mesh is this one primitive."""
        tree = self.tree
        tree["scenes"][0]["nodes"].append(len(tree["nodes"]))
        tree["nodes"].append({"name": name, "mesh": len(tree["meshes"])})
        tree["meshes"].append({"name": name, "primitives": [primitive]})

    def vertices(self, values: np.ndarray, *, limits: bool = False) -> int:
        """The accessor of values of all vertices."""
        return self.accessor(values.astype(np.float32), limits=limits, view=self.view(values, ARRAY_BUFFER))

    def indices(self, faces: np.ndarray, count: int) -> int:
        """The accessor of triangles over `count` vertices."""
        flat = faces.ravel().astype(np.uint16 if count <= SMALL else np.uint32)
        return self.accessor(flat, view=self.view(flat, ELEMENT_ARRAY_BUFFER))

    def accessor(self, values: np.ndarray, *, limits: bool = False, view: int | None = None) -> int:
        """What there is to know of some values; without a view, where an extension holds them."""
        kind = KINDS[1 if values.ndim == 1 else values.shape[1]]
        entry = {"componentType": COMPONENTS[values.dtype], "count": len(values), "type": kind}
        if limits:
            entry |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        return _append(self.tree["accessors"], entry if view is None else {"bufferView": view, **entry})

    def view(self, values: np.ndarray | bytes, target: int | None = None) -> int:
        """Store bytes, from a multiple of four on."""
        data = values if isinstance(values, bytes) else _little(values)
        self.data += bytes(-len(self.data) % 4)
        entry = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        self.data += data
        return _append(self.tree["bufferViews"], entry if target is None else {**entry, "target": target})

    def add_material(self, name: str, maps: Maps, base_color: Encode = png) -> None:
        """Both factors, always; one picture serves occlusion, roughness and metallic."""
        self.tree |= {"images": [], "textures": [], "samplers": [SAMPLER]}
        metallic, roughness = (METALLIC, ROUGHNESS) if maps.orm is None else (1.0, 1.0)
        surface: dict[str, Any] = {"metallicFactor": metallic, "roughnessFactor": roughness}
        surface["baseColorTexture"] = self.texture("base_color", base_color(maps.base_color))
        material = {"name": name, "pbrMetallicRoughness": surface, "doubleSided": False}
        if maps.orm is not None:
            orm = self.texture("orm", png(maps.orm))
            surface["metallicRoughnessTexture"] = material["occlusionTexture"] = orm
        if maps.normal is not None:
            material["normalTexture"] = self.texture("normal", png(maps.normal))
        self.tree["materials"] = [material]

    def texture(self, name: str, data: bytes) -> dict[str, int]:
        """Store an encoded picture and refer to it."""
        image = _append(self.tree["images"], {"name": name, "mimeType": mime(data), "bufferView": self.view(data)})
        return {"index": _append(self.tree["textures"], {"sampler": 0, "source": image})}

    def bytes(self) -> bytes:
        """The whole file (glTF 2.0, section 4.4)."""
        data = bytes(self.data) + bytes(-len(self.data) % 4)
        tree = json.dumps(self.tree | {"buffers": [{"byteLength": len(data)}]}, separators=(",", ":")).encode()
        tree += b" " * (-len(tree) % 4)
        chunks = struct.pack("<I4s", len(tree), b"JSON") + tree + struct.pack("<I4s", len(data), b"BIN\0") + data
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _little(values: np.ndarray) -> bytes:
    kept = values.astype(np.float32) if values.dtype.kind == "f" else values
    return np.ascontiguousarray(kept.astype(kept.dtype.newbyteorder("<"))).tobytes()


def _append(entries: list[Any], entry: Any) -> int:
    entries.append(entry)
    return len(entries) - 1
