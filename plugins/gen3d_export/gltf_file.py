"""The container of glTF 2.0: its JSON, and the numbers and pictures in its buffers."""

import base64
import binascii
import io
import json
import struct
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gen3d.errors import BadInput

TYPES = {5120: "i1", 5121: "u1", 5122: "i2", 5123: "u2", 5125: "u4", 5126: "f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
MOST = 1 << 28
"""Values of an accessor without a buffer: those with one are bounded by its length."""

UNDERSTOOD = {
    *("KHR_draco_mesh_compression", "KHR_mesh_quantization", "KHR_texture_transform", "EXT_texture_webp"),
    *("KHR_lights_punctual", "KHR_xmp_json_ld", "KHR_animation_pointer"),
}
"""Extensions that a file may require; those of materials besides, which change how light falls, and no shape."""


class GltfFile:
    """A .glb or .gltf file.

    Args:
        path: of the file; other files that it names are read from its own folder only.

    Raises:
        BadInput: it cannot be read, is damaged, or requires an extension that is not known here.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.chunk = path, b""
        data = path.read_bytes()
        text = self._unpacked(data) if data.startswith(b"glTF") else data
        try:
            self.tree: dict[str, Any] = json.loads(text)
            version = str(self.tree["asset"]["version"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadInput("is no glTF file", place=str(path), remedy="give a .glb or .gltf file") from error
        if not version.startswith("2."):
            raise BadInput(f"is glTF {version}", place=str(path), remedy="convert it to glTF 2.0")
        for name in self.tree.get("extensionsRequired", ()):
            if name not in UNDERSTOOD and not name.startswith("KHR_materials_"):
                remedy = "write it again without that extension"
                raise BadInput(
                    f"requires the extension {name}, which is not known here", place=str(path), remedy=remedy
                )

    def _unpacked(self, data: bytes) -> bytes:
        """The JSON chunk; the binary one is kept."""
        if len(data) < 20 or struct.unpack_from("<I", data, 8)[0] > len(data):  # noqa: PLR2004 (both headers)
            stated = struct.unpack_from("<I", data, 8)[0] if len(data) >= 12 else 12  # noqa: PLR2004
            cause = f"is cut short: {len(data)} bytes of {stated}"
            raise BadInput(cause, place=str(self.path), remedy="fetch or export it again")
        length = struct.unpack_from("<I", data, 12)[0]
        rest = data[20 + length :]
        if len(rest) >= 8 and rest[4:8] == b"BIN\0":  # noqa: PLR2004 (a chunk's header)
            self.chunk = rest[8 : 8 + struct.unpack_from("<I", rest)[0]]
        return data[20 : 20 + length]

    def items(self, kind: str) -> list[dict[str, Any]]:
        """A top-level list of the JSON."""
        found: list[dict[str, Any]] = self.tree.get(kind, [])
        return found

    @cached_property
    def buffers(self) -> list[bytes]:
        """The bytes of each buffer."""
        return [self._resource(entry["uri"]) if "uri" in entry else self.chunk for entry in self.items("buffers")]

    def _resource(self, uri: str) -> bytes:
        """What a URI names: data in itself, or a file in this file's folder."""
        if uri.startswith("data:"):
            try:
                return base64.b64decode(uri.partition(",")[2], validate=True)
            except binascii.Error as error:
                raise BadInput(f"holds data that is no base64: {error}", place=str(self.path)) from error
        return read_beside(self.path, unquote(uri))

    def view(self, index: int) -> memoryview:
        """The bytes of a buffer view."""
        entry = self.items("bufferViews")[index]
        start, length = entry.get("byteOffset", 0), entry["byteLength"]
        data = memoryview(self.buffers[entry["buffer"]])
        if start < 0 or length < 0 or start + length > len(data):
            raise BadInput("is cut short: its buffers hold less than it says", place=str(self.path))
        return data[start : start + length]

    def accessor(self, index: int) -> np.ndarray:
        """Values, one row each; normalised integers as floats (glTF 2.0, section 3.6.2)."""
        entry = self.items("accessors")[index]
        dtype, count, width = np.dtype("<" + TYPES[entry["componentType"]]), entry["count"], WIDTHS[entry["type"]]
        if "bufferView" in entry:
            start = entry.get("byteOffset", 0)
            values = self._rows(entry["bufferView"], start, dtype, count, width)
        elif 0 <= count * width <= MOST:
            values = np.zeros((count, width), dtype)
        else:
            raise BadInput(f"has an accessor of {count} values without a buffer", place=str(self.path))
        if "sparse" in entry:
            sparse = entry["sparse"]
            where, what = sparse["indices"], sparse["values"]
            kind = np.dtype("<" + TYPES[where["componentType"]])
            rows = self._rows(where["bufferView"], where.get("byteOffset", 0), kind, sparse["count"], 1)
            values = values.copy()
            values[rows[:, 0]] = self._rows(
                what["bufferView"], what.get("byteOffset", 0), dtype, sparse["count"], width
            )
        return normalised(values) if entry.get("normalized") else values

    def _rows(self, view: int, start: int, dtype: np.dtype, count: int, width: int) -> np.ndarray:
        data = self.view(view)
        size = dtype.itemsize * width
        stride = self.items("bufferViews")[view].get("byteStride") or size
        if count < 0 or start < 0 or stride < size or (count and start + stride * (count - 1) + size > len(data)):
            raise BadInput("is cut short: its accessors ask for more than it holds", place=str(self.path))
        return np.ndarray((count, width), dtype, data, start, (stride, dtype.itemsize))

    def image(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        """A picture, without its opacity. Raises BadInput where it cannot be decoded."""
        entry = self.items("images")[index]
        data = self.view(entry["bufferView"]) if "bufferView" in entry else self._resource(entry["uri"])
        return decoded(bytes(data), f"{self.path}: image {index}")


def normalised(values: np.ndarray) -> np.ndarray:
    """Integers as floats in [0, 1], or [-1, 1] where they have a sign."""
    if values.dtype.kind == "f":
        return values
    return (values.astype(np.float64) / np.iinfo(values.dtype).max).clip(-1)


def decoded(data: bytes, place: str) -> UInt8[np.ndarray, "height width 3"]:
    """A PNG, JPEG or WebP picture. Raises BadInput where it is none."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            deep = opened.mode.startswith("I")
            picture = np.asarray(opened) if deep else np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, struct.error) as error:
        raise BadInput(f"cannot be decoded: {error}", place=place, remedy="use PNG or JPEG") from error
    if deep:  # 16 bits of grey
        picture = np.repeat((picture // 257).astype(np.uint8)[..., None], 3, axis=2)
    return picture


def read_beside(path: Path, name: str) -> bytes:
    """A file that another one names, in that one's folder or below. Raises BadInput for any other place."""
    folder = path.parent.resolve()
    try:
        wanted = (folder / name).resolve()
        if not wanted.is_relative_to(folder):
            remedy = "put the file beside it, and name it without a path"
            raise BadInput(f"names a file outside of its own folder: {name}", place=str(path), remedy=remedy)
        return wanted.read_bytes()
    except (OSError, ValueError) as error:  # what is no path raises ValueError
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"names {name!r}, which cannot be read: {reason}", place=str(path)) from error
