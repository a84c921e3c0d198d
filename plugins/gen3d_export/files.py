"""Writers: GLB, OBJ with MTL, PLY. All share one frame (`frame.to_gltf`), 8-bit sRGB colours, and all-or-nothing."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, UInt8
from PIL import Image
from trimesh.exchange.gltf import export_glb

from gen3d.errors import BadInput
from gen3d_export.frame import to_gltf
from gen3d_export.unwrap import Unwrapped, smooth_normals

METALLIC, ROUGHNESS = 0.0, 0.9
"""Always written: glTF takes an absent factor for 1, a mirror of metal."""

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """A folder beside `directory`'s files whose own files appear there only when all of them are written.

    Raises BadInput where the directory cannot be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=directory))
    except OSError as error:
        remedy = "choose another output directory"
        raise BadInput(f"cannot write here: {error.strerror}", place=str(directory), remedy=remedy) from error
    try:
        yield folder
        for path in sorted(folder.iterdir()):
            path.replace(directory / path.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_glb(path: Path, mesh: Unwrapped, texture: Float[np.ndarray, "size size 3"], name: str) -> None:
    """Binary glTF 2.0 without required extensions: one node, one mesh, one material, an embedded PNG."""
    material = trimesh.visual.material.PBRMaterial(
        name=name,
        baseColorTexture=_picture(texture),
        metallicFactor=METALLIC,
        roughnessFactor=ROUGHNESS,
        doubleSided=False,
    )
    body = trimesh.Trimesh(
        to_gltf(mesh.vertices),
        mesh.faces,
        vertex_normals=to_gltf(mesh.normals),
        visual=trimesh.visual.TextureVisuals(uv=mesh.uv, material=material),
        process=False,
    )
    scene = trimesh.Scene({name: body})
    path.write_bytes(export_glb(scene, include_normals=True, tree_postprocessor=_tidy))


def _tidy(tree: dict[str, Any]) -> None:
    """One node without a parent, our name as the generator, and what each buffer view is for."""
    tree["asset"]["generator"] = "gen3d"
    tree["nodes"] = [node for node in tree["nodes"] if "mesh" in node]
    tree["scenes"] = [{"nodes": [0]}]
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            views = {tree["accessors"][a]["bufferView"] for a in primitive["attributes"].values()}
            for view in views:
                tree["bufferViews"][view]["target"] = ARRAY_BUFFER
            tree["bufferViews"][tree["accessors"][primitive["indices"]]["bufferView"]]["target"] = ELEMENT_ARRAY_BUFFER


def write_obj(path: Path, mesh: Unwrapped, texture: Float[np.ndarray, "size size 3"], name: str) -> None:
    """Wavefront OBJ, with `name.mtl` and `name.png` beside it."""
    index = mesh.faces + 1
    corners = np.repeat(index, 3, axis=1)
    lines = [f"mtllib {name}.mtl", f"o {name}"]
    for key, rows in (("v", to_gltf(mesh.vertices)), ("vt", mesh.uv), ("vn", to_gltf(mesh.normals))):
        lines += [f"{key} " + " ".join(f"{value:.6g}" for value in row) for row in rows.tolist()]
    lines += [f"usemtl {name}"]
    lines += ["f {}/{}/{} {}/{}/{} {}/{}/{}".format(*row) for row in corners.tolist()]
    path.write_text("\n".join(lines) + "\n")
    # No `Tr`: some programs write 1 for opaque, and those that follow the format then show nothing.
    material = [f"newmtl {name}", "Ka 0 0 0", "Kd 1 1 1", "Ks 0 0 0", "d 1", "illum 1", f"map_Kd {name}.png"]
    path.with_suffix(".mtl").write_text("\n".join([*material, f"Pr {ROUGHNESS}", f"Pm {METALLIC}"]) + "\n")
    _picture(texture).save(path.with_suffix(".png"))


def write_ply(path: Path, mesh: trimesh.Trimesh, colors: Float[np.ndarray, "vertices 3"]) -> None:
    """Binary PLY with a normal and a colour at each vertex."""
    body = trimesh.Trimesh(
        to_gltf(np.asarray(mesh.vertices)),
        mesh.faces,
        vertex_normals=to_gltf(smooth_normals(mesh)),
        vertex_colors=_bytes(colors),
        process=False,
    )
    body.export(path, vertex_normal=True)


def _bytes(colors: Float[np.ndarray, "*shape 3"]) -> UInt8[np.ndarray, "*shape 3"]:
    return np.round(colors * 255).astype(np.uint8)


def _picture(texture: Float[np.ndarray, "size size 3"]) -> Image.Image:
    return Image.fromarray(_bytes(texture))
