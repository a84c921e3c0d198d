"""Read a file of any format that an asset is written in."""

import re
import struct
from pathlib import Path

from gen3d.errors import BadInput, Gen3dError
from gen3d_export.audit.scene import Piece, Scene

COLLIDERS = re.compile(r"(-colonly|-convcolonly|-col|-convcol|_hull_\d+)$|^U(CX|BX|SP|CP)_")
"""Names by which engines know what only collides (Godot, Unreal), and ours where they have none."""


def read(path: Path) -> Scene:
    """The file's scene.

    Raises:
        BadInput: it cannot be read, or holds no triangles.
        Unavailable: what reads its format, or decompresses it, is not installed.
    """
    from gen3d_export.audit import gltf, ply, usd, wavefront

    readers = {".glb": gltf, ".gltf": gltf, ".obj": wavefront, ".ply": ply, ".usdz": usd, ".usdc": usd, ".usda": usd}
    if path.suffix.lower() not in readers:
        raise BadInput("is no format that is known here", place=str(path), remedy=f"give a {', '.join(readers)} file")
    try:
        return readers[path.suffix.lower()].read(path)
    except Gen3dError:
        raise
    except OSError as error:
        cause = f"cannot be read: {error.strerror or error}"
        raise BadInput(cause, place=str(error.filename or path), remedy="give an existing file") from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error) as error:
        # A broken file breaks whatever reads it, wherever that is.
        cause = f"is broken: {type(error).__name__}: {error}"
        raise BadInput(cause, place=str(path), remedy="export it again, or give another file") from error


def sorted_out(
    path: Path, pieces: list[Piece], names: list[str], required: tuple[str, ...] = (), files: tuple[Path, ...] = ()
) -> Scene:
    """A scene, with what collides apart from what is seen. Raises BadInput where there is neither."""
    pieces = [piece for piece in pieces if len(piece.faces)]
    if not pieces:
        raise BadInput("holds no triangles", place=str(path), remedy="give a file with a mesh")
    if any(piece.faces.min() < 0 or piece.faces.max() >= len(piece.positions) for piece in pieces):
        raise BadInput("is broken: a face names a vertex that is not there", place=str(path), remedy="export it again")
    hulls = tuple(piece for piece in pieces if COLLIDERS.search(piece.name))
    seen = tuple(piece for piece in pieces if not COLLIDERS.search(piece.name))
    size = sum(file.stat().st_size for file in {path, *files})
    return Scene(path, seen, hulls, tuple(dict.fromkeys(name for name in names if name)), required, size)
