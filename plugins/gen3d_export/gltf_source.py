"""A glTF file as one mesh: every node's triangles where they stand, and what their materials say."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, Int

from gen3d.errors import BadInput, Unavailable
from gen3d_export.frame import from_gltf
from gen3d_export.gltf_file import GltfFile, normalised
from gen3d_export.gltf_material import Coordinates, coordinates, material
from gen3d_export.source_mesh import SourceMaterial, SourceMesh
from gen3d_export.source_parts import SourcePart, joined

log = logging.getLogger(__name__)

TRIANGLES, STRIP, FAN = 4, 5, 6
DRACO = "KHR_draco_mesh_compression"


def read_gltf(path: Path) -> SourceMesh:
    """Read a .glb or .gltf file. Raises BadInput where it is damaged or holds no triangles."""
    file = GltfFile(path)
    _warn(file)
    materials: dict[int | None, tuple[int, Coordinates]] = {}
    known: list[SourceMaterial] = []
    parts = []
    for node, world in _nodes(file):
        if "mesh" not in node:
            continue
        for primitive in file.items("meshes")[node["mesh"]]["primitives"]:
            index = primitive.get("material")
            if index not in materials:
                materials[index] = (len(known), coordinates(file, index))
                known.append(material(file, index))
            number, mapped = materials[index]
            part = _part(file, primitive, number, mapped)
            if part is not None:
                parts.append(_placed(file, node, primitive, part, world))
    if not parts:
        raise BadInput("holds no triangles", place=str(path), remedy="export it with its geometry, as triangles")
    return joined(parts, tuple(known))


def _warn(file: GltfFile) -> None:
    meshes = [primitive for mesh in file.items("meshes") for primitive in mesh["primitives"]]
    said = {
        "it is animated: it is exported as it stands in the file": file.items("animations"),
        "it has a skeleton: it is exported in the pose of the file": file.items("skins"),
        "it has morph targets: they are left out": any("targets" in primitive for primitive in meshes),
        "it has transparent materials: they are exported opaque": any(
            entry.get("alphaMode", "OPAQUE") != "OPAQUE" for entry in file.items("materials")
        ),
    }
    for text, applies in said.items():
        if applies:
            log.warning("%s: %s", file.path, text)


def _nodes(file: GltfFile) -> Iterator[tuple[dict[str, Any], Float[np.ndarray, "4 4"]]]:
    """The scene's nodes and where they stand, each once."""
    scenes, nodes, seen = file.items("scenes"), file.items("nodes"), set()
    children = {child for node in nodes for child in node.get("children", ())}
    default = [index for index in range(len(nodes)) if index not in children]
    roots = scenes[file.tree.get("scene", 0)].get("nodes", []) if scenes else default
    todo = [(index, np.eye(4)) for index in reversed(roots)]
    while todo:
        index, above = todo.pop()
        if index in seen:
            raise BadInput(f"node {index} stands in two places", place=str(file.path), remedy="write the file again")
        seen.add(index)
        world = above @ _local(nodes[index])
        yield nodes[index], world
        todo += [(child, world) for child in reversed(nodes[index].get("children", ()))]


def _local(node: dict[str, Any]) -> Float[np.ndarray, "4 4"]:
    """A node's transform (glTF 2.0, section 3.5.2)."""
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    result = trimesh.transformations.quaternion_matrix([w, x, y, z])
    result[:3, :3] *= node.get("scale", (1, 1, 1))
    result[:3, 3] = node.get("translation", (0, 0, 0))
    return result


def _part(file: GltfFile, primitive: dict[str, Any], number: int, mapped: Coordinates) -> SourcePart | None:
    """The triangles of a primitive, in the mesh's own frame; None where it has none."""
    mode = primitive.get("mode", TRIANGLES)
    if mode not in (TRIANGLES, STRIP, FAN) or "POSITION" not in primitive["attributes"]:
        return None
    values, corners = _stored(file, primitive)
    vertices = values["POSITION"].astype(np.float64)
    faces = _triangles(np.arange(len(vertices)) if corners is None else corners.astype(np.int64), mode)
    if not len(faces):
        return None
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise BadInput(f"a triangle names vertex {faces.max()} of {len(vertices)}", place=str(file.path))
    uv = values.get(f"TEXCOORD_{mapped.index}") if mapped.used else None
    normals, colors = values.get("NORMAL"), values.get("COLOR_0")
    return SourcePart(
        vertices,
        faces,
        None if normals is None else normals.astype(np.float64),
        None if uv is None else mapped(uv.astype(np.float64)),
        None if colors is None else colors[:, :3].astype(np.float64),
        number,
    )


def _stored(file: GltfFile, primitive: dict[str, Any]) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Attributes by name, and the indices."""
    packed = primitive.get("extensions", {}).get(DRACO)
    if packed is not None:
        return _unpacked(file, primitive, packed)
    values = {key: file.accessor(index) for key, index in primitive["attributes"].items()}
    indices = primitive.get("indices")
    return values, None if indices is None else file.accessor(indices)[:, 0]


def _unpacked(
    file: GltfFile, primitive: dict[str, Any], packed: dict[str, Any]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    try:
        import DracoPy
    except ImportError as error:
        remedy = "pip install 'gen3d[draco]', or write the file again without Draco"
        raise Unavailable("is compressed with Draco", place=str(file.path), remedy=remedy) from error
    try:
        mesh = DracoPy.decode(bytes(file.view(packed["bufferView"])))
    except (DracoPy.FileTypeException, ValueError, RuntimeError) as error:
        raise BadInput(f"its Draco data is damaged: {error}", place=str(file.path)) from error
    values = {key: mesh.get_attribute_by_unique_id(number)["data"] for key, number in packed["attributes"].items()}
    for key, index in primitive["attributes"].items():
        if key in values and file.items("accessors")[index].get("normalized"):
            values[key] = normalised(values[key])
    return values, np.asarray(mesh.faces).ravel()


def _triangles(corners: Int[np.ndarray, " corners"], mode: int) -> Int[np.ndarray, "faces 3"]:
    """Triangles of a list, a strip or a fan (glTF 2.0, section 3.7.2)."""
    if mode == TRIANGLES:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    count = max(len(corners) - 2, 0)
    steps = np.arange(count)
    if mode == FAN:
        return np.stack([np.repeat(corners[:1], count), corners[steps + 1], corners[steps + 2]], axis=-1)
    odd = steps % 2
    return np.stack([corners[steps], corners[steps + 1 + odd], corners[steps + 2 - odd]], axis=-1)


def _placed(
    file: GltfFile, node: dict[str, Any], primitive: dict[str, Any], part: SourcePart, world: Float[np.ndarray, "4 4"]
) -> SourcePart:
    """The part where its node, or its skeleton, puts it; in our frame."""
    skinned = "skin" in node and {"JOINTS_0", "WEIGHTS_0"} <= set(primitive["attributes"])
    matrices = _skinning(file, node["skin"], primitive) if skinned else world[None]
    linear = matrices[:, :3, :3]
    vertices = (linear @ part.vertices[..., None])[..., 0] + matrices[:, :3, 3]
    flipped = np.linalg.det(linear).mean() < 0  # a mirrored node turns triangles over
    normals = part.normals
    if normals is not None:
        normals = (np.linalg.pinv(linear).swapaxes(1, 2) @ normals[..., None])[..., 0]
        normals = from_gltf(normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12))
    faces = part.faces[:, ::-1] if flipped else part.faces
    return SourcePart(from_gltf(vertices), faces, normals, part.uv, part.colors, part.material)


def _skinning(file: GltfFile, index: int, primitive: dict[str, Any]) -> Float[np.ndarray, "vertices 4 4"]:
    """For each vertex the weighted mean of its joints' transforms; the node's own does not count (section 3.7.3.3)."""
    skin = file.items("skins")[index]
    places = {id(node): world for node, world in _nodes(file)}
    joints = np.stack([places.get(id(file.items("nodes")[joint]), np.eye(4)) for joint in skin["joints"]])
    if "inverseBindMatrices" in skin:
        joints = joints @ file.accessor(skin["inverseBindMatrices"]).reshape(-1, 4, 4)[: len(joints)].swapaxes(1, 2)
    values, _ = _stored(file, primitive)
    weights = values["WEIGHTS_0"].astype(np.float64)
    weights = weights / weights.sum(axis=1, keepdims=True).clip(1e-12)
    return np.einsum("vj,vjab->vab", weights, joints[values["JOINTS_0"].astype(np.int64)])
