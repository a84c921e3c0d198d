"""A GLB's two chunks, to be looked at, changed and put together again."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

Tree = dict[str, Any]


def split(data: bytes) -> tuple[Tree, bytes]:
    """The tree and the binary chunk."""
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def joined(tree: Tree, binary: bytes) -> bytes:
    """A file of them."""
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def edit(path: Path, change: Callable[[Tree], object]) -> None:
    """Change the tree of a file."""
    tree, binary = split(path.read_bytes())
    change(tree)
    path.write_bytes(joined(tree, binary))
