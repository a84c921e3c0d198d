"""A smaller GLB for web pages, beside the one that every program reads."""

import shutil
import subprocess
from pathlib import Path
from typing import Literal

import numpy as np

from gen3d.errors import Unavailable
from gen3d_export.asset import Body
from gen3d_export.formats.glb import GlbFile, attributes, glb
from gen3d_export.formats.pictures import jpeg

Compress = Literal["meshopt", "draco"]

BITS = {"quantization_bits": 14, "tex_coord_quantization_bits": 13, "normal_quantization_bits": 10}
"""A place to a 16,000th of the object, a texel of 8192, a direction to a fifth of a degree."""

TANGENT = 10
"""The attribute's number within Draco's data; the others get theirs from 0 on."""

PATIENCE = 300
"""Seconds for Node."""


def require(compress: Compress) -> None:
    """Raises Unavailable, with the way to get it, where what compresses is not installed."""
    if compress == "draco":
        try:
            import DracoPy  # noqa: F401
        except ImportError as error:
            remedy = "pip install 'gen3d[draco]'"
            raise Unavailable("Draco needs the package DracoPy, which is not installed", remedy=remedy) from error
    elif shutil.which("gltf-transform") is None:
        remedy = "npm install --global @gltf-transform/cli, or choose draco"
        raise Unavailable("meshopt needs the program gltf-transform, which is not on the PATH", remedy=remedy)


def write_web(path: Path, name: str, body: Body, compress: Compress) -> None:
    """The asset with an extension that compresses its mesh, and the base colour as JPEG.

    Raises:
        Unavailable: what compresses is missing, or failed.
        OSError: the file could not be written.
    """
    require(compress)
    if compress == "draco":
        path.write_bytes(draco(name, body))
        return
    plain = path.with_name(f"{path.stem}.plain.glb")
    plain.write_bytes(glb(name, body, base_color=jpeg))
    try:
        program = [str(shutil.which("gltf-transform")), "meshopt", str(plain), str(path)]
        done = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603
        if done.returncode or not path.is_file():
            raise Unavailable(f"gltf-transform failed: {(done.stderr or done.stdout).strip()[-300:]}")
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"gltf-transform did not end within {PATIENCE} s") from error
    finally:
        plain.unlink()


def draco(name: str, body: Body) -> bytes:
    """A GLB that needs KHR_draco_mesh_compression; its accessors tell what comes out of that, rounded as it is."""
    import DracoPy

    stored = attributes(body)
    packed = DracoPy.encode(
        stored["POSITION"].astype(np.float32),
        body.faces.astype(np.uint32),
        normals=stored["NORMAL"].astype(np.float64),
        tex_coord=stored["TEXCOORD_0"].astype(np.float64),
        generic_attributes={TANGENT: body.tangents.astype(np.float32)} if body.tangents is not None else None,
        **BITS,
    )
    file, mesh, extension = GlbFile(), DracoPy.decode(packed), "KHR_draco_mesh_compression"
    file.add_material(name, body.maps, jpeg)
    numbers = {key: _number(mesh, key) for key in stored}
    unpacked = {key: mesh.get_attribute_by_unique_id(number)["data"] for key, number in numbers.items()}
    faces = np.asarray(mesh.faces)
    primitive = {
        "attributes": {
            k: file.accessor(np.asarray(v, np.float32), limits=k == "POSITION") for k, v in unpacked.items()
        },
        "indices": file.accessor(faces.ravel().astype(np.uint32)),
        "material": 0,
        "mode": 4,
        "extensions": {extension: {"bufferView": file.view(packed), "attributes": numbers}},
    }
    file.add_node(name, primitive)
    file.tree |= {"extensionsUsed": [extension], "extensionsRequired": [extension]}
    return file.bytes()


def _number(mesh: object, key: str) -> int:
    """The number that Draco gave an attribute."""
    kinds = {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 3, "TANGENT": 4}
    found: list[dict[str, int]] = mesh.attributes  # type: ignore[attr-defined]
    return next(a["unique_id"] for a in found if a["attribute_type"] == kinds[key])
