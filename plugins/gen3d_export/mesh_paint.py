"""The look of a mesh that another program made: its own materials, at the closest point of its own surface."""

from collections.abc import Iterator

import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int

from gen3d_export.paint import Look, Paint, Samples
from gen3d_export.raster import interpolate
from gen3d_export.source_mesh import SourceMesh
from gen3d_export.tangents import from_tangent_space, with_tangents
from gen3d_export.target import Hits, Target, unit
from gen3d_export.texture import LINEAR, SRGB, Picture, look_up, reduced, to_srgb
from gen3d_export.unwrap import Unwrapped, smooth_normals


class MeshPaint(Paint):
    """The materials of a mesh, as glTF 2.0 defines them: factors times pictures times colours of vertices.

    Args:
        source: the mesh as its file has it, before repairs.
    """

    def __init__(self, source: SourceMesh) -> None:
        self.source, self.normals = source, _normals(source)
        self.occluded = any(material.occlusion_map is not None for material in source.materials)
        self._target = Target(source.vertices, source.faces, self.normals)
        self._frames: tuple[Unwrapped, Float[np.ndarray, "split 4"]] | None = None
        self._densities = _densities(source)
        self._pictures: dict[tuple[int, float], Picture] = {}

    def target(self, whole: trimesh.Trimesh) -> Target:
        """The file's own triangles: only they know their texture coordinates."""
        return self._target

    def look(self, hits: Hits, samples: Samples) -> Look:
        """What the materials say. Pictures are reduced to the resolution that they are looked up in."""
        source, count = self.source, len(hits.faces)
        corners = source.faces[hits.faces]
        color, orm, normals = np.ones((count, 3)), np.ones((count, 3)), hits.normals.copy()
        uv = None if source.uv is None else interpolate(source.uv, corners, hits.weights)
        for index, rows in self._materials(hits.faces):
            material, places = source.materials[index], None if uv is None else uv[rows]
            apart = samples.spacing * self._densities[index]
            color[rows] = material.base_color * self._picture(material.base_color_map, places, SRGB, apart)
            metallic_roughness = self._picture(material.metallic_roughness_map, places, LINEAR, apart)
            orm[rows, 0] = self._picture(material.occlusion_map, places, LINEAR, apart)[:, 0]
            orm[rows, 1:] = metallic_roughness[:, 1:] * (material.roughness, material.metallic)
            if material.normal_map is not None and places is not None:
                bumps = self._picture(material.normal_map, places, LINEAR, apart) * 2 - 1
                normals[rows] = self._bumped(bumps, hits.faces[rows], hits.weights[rows])
        if source.colors is not None:
            color *= interpolate(source.colors, corners, hits.weights)
        return Look(to_srgb(color), normals, orm)

    def _materials(self, faces: Int[np.ndarray, " points"]) -> Iterator[tuple[int, Bool[np.ndarray, " points"]]]:
        """Each material that is met, and where."""
        of_points = self.source.material[faces]
        for index in np.unique(of_points):
            yield int(index), of_points == index

    def _picture(
        self,
        picture: Picture | None,
        uv: Float[np.ndarray, "points 2"] | None,
        meaning: Float[np.ndarray, "256"],
        apart: float,
    ) -> Float[np.ndarray, "points_or_one 3"]:
        """Values of a picture; 1 where there is none. Points lie `apart` from each other in texture coordinates."""
        if picture is None or uv is None:
            return np.ones((1, 3))
        key = id(picture), apart
        if key not in self._pictures:
            height, width = picture.shape[:2]
            self._pictures[key] = reduced(picture, apart * float(np.sqrt(height * width)))
        return look_up(self._pictures[key], uv, meaning)

    def _bumped(
        self,
        bumps: Float[np.ndarray, "points 3"],
        faces: Int[np.ndarray, " points"],
        weights: Float[np.ndarray, "points 3"],
    ) -> Float[np.ndarray, "points 3"]:
        """Normals that the source's own normal map makes, in the source's own tangents."""
        source = self.source
        if self._frames is None:
            assert source.uv is not None  # there is a picture, and it was looked up
            self._frames = with_tangents(Unwrapped(source.vertices, self.normals, source.uv, source.faces))
        mesh, tangents = self._frames
        corners = mesh.faces[faces]
        normals = interpolate(mesh.normals, corners, weights)
        return from_tangent_space(bumps, normals, interpolate(tangents, corners, weights))


def _normals(source: SourceMesh) -> Float[np.ndarray, "vertices 3"]:
    """The file's; smooth ones where it has none, across vertices that it splits."""
    if source.normals is not None:
        return unit(source.normals)
    places, welded = np.unique(source.vertices, axis=0, return_inverse=True)
    mesh = trimesh.Trimesh(places, welded.ravel()[source.faces], process=False)
    return smooth_normals(mesh)[welded.ravel()]


def _densities(source: SourceMesh) -> Float[np.ndarray, " materials"]:
    """Of each material the texture coordinates per unit of length, in the mean over its surface."""
    if source.uv is None:
        return np.zeros(len(source.materials))
    p, t = source.vertices[source.faces], source.uv[source.faces]
    area = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1)
    (u1, v1), (u2, v2) = (t[:, 1] - t[:, 0]).T, (t[:, 2] - t[:, 0]).T
    sums = [np.bincount(source.material, of, len(source.materials)) for of in (np.abs(u1 * v2 - u2 * v1), area)]
    return np.sqrt(sums[0] / sums[1].clip(1e-30))
