import numpy as np
import pytest
import trimesh

from gen3d_export.bake import bake
from gen3d_export.mesh_paint import MeshPaint
from gen3d_export.source_mesh import SourceMaterial, SourceMesh
from gen3d_export.texture import SRGB, to_srgb
from gen3d_export.unwrap import Unwrapped


def quad(material: int = 0, x: float = 0.0, uv_scale: float = 1.0) -> dict:
    """A unit square in the plane z = 0 that looks up, with texture coordinates (x, y)."""
    corners = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    return {
        "vertices": np.concatenate([corners + np.array([x, 0]), np.zeros((4, 1))], axis=1),
        "uv": corners * uv_scale,
        "faces": np.array([[0, 1, 2], [0, 2, 3]]),
        "material": np.full(2, material),
    }


def source_of(parts: list[dict], *materials: SourceMaterial, **keywords) -> SourceMesh:
    offsets = np.cumsum([0, *(len(part["vertices"]) for part in parts)])
    merged = {key: np.concatenate([part[key] for part in parts]) for key in ("vertices", "uv", "material")}
    faces = np.concatenate([part["faces"] + offset for part, offset in zip(parts, offsets, strict=False)])
    return SourceMesh(**({"normals": None, "colors": None} | merged | keywords), faces=faces, materials=materials)


def baked(source: SourceMesh, size: int = 16, **keywords):
    """Its own square, or the two beside each other, unwrapped onto the whole picture."""
    whole = trimesh.Trimesh(source.vertices, source.faces, process=False)
    width = source.vertices[:, 0].max()
    uv = source.vertices[:, :2] / [width, 1]
    up = np.tile([0.0, 0, 1], (len(uv), 1))
    return bake(MeshPaint(source), Unwrapped(source.vertices, up, uv, source.faces), whole, size, **keywords)


def flat(*value: int) -> np.ndarray:
    return np.full((4, 4, 3), value, dtype=np.uint8)


def test_a_picture_comes_through_byte_by_byte():
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    picture = picture.repeat(4, axis=0).repeat(4, axis=1)  # flat within texels: nothing is blended
    maps = baked(source_of([quad()], SourceMaterial(base_color_map=picture)), 64).maps
    inner = np.zeros((16, 4), dtype=bool)
    inner[:, 1:3] = True
    rows = inner.ravel()
    np.testing.assert_array_equal(maps.base_color[rows][:, rows], picture[rows][:, rows])


def test_factors_pictures_and_vertex_colours_multiply_in_linear_light():
    material = SourceMaterial(base_color=(0.5, 1.0, 0.25), base_color_map=flat(188, 100, 255))
    colors = np.tile([0.8, 0.5, 1.0], (4, 1))
    maps = baked(source_of([quad()], material, colors=colors)).maps
    linear = np.array([0.5 * SRGB[188] * 0.8, SRGB[100] * 0.5, 0.25])
    np.testing.assert_array_equal(maps.base_color, np.broadcast_to(np.round(to_srgb(linear) * 255), (16, 16, 3)))


def test_every_material_has_its_own_surface():
    red = SourceMaterial(base_color=(1.0, 0.0, 0.0), metallic=1.0, roughness=0.2)
    blue = SourceMaterial(base_color=(0.0, 0.0, 1.0), metallic=0.5, metallic_roughness_map=flat(7, 51, 102))
    source = source_of([quad(0), quad(1, x=1.0)], red, blue)
    maps = baked(source).maps
    np.testing.assert_array_equal(maps.base_color[:, 0], np.tile([255, 0, 0], (16, 1)))
    np.testing.assert_array_equal(maps.base_color[:, -1], np.tile([0, 0, 255], (16, 1)))
    np.testing.assert_array_equal(maps.orm[:, 0], np.tile([255, 51, 255], (16, 1)))
    np.testing.assert_array_equal(maps.orm[:, -1], np.tile([255, round(0.9 * 51), 51], (16, 1)))


def test_textures_repeat():
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    picture[:, :4] = 255
    maps = baked(source_of([quad(uv_scale=2.0)], SourceMaterial(base_color_map=picture)), 32).maps
    row = maps.base_color[16, :, 0]
    np.testing.assert_array_equal(row[[3, 12, 19, 28]], [255, 0, 255, 0])


def test_a_fine_picture_is_averaged_and_not_sampled():
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 200).astype(np.uint8)
    material = SourceMaterial(base_color_map=np.stack([board] * 3, axis=-1))
    maps = baked(source_of([quad()], material), 16).maps
    np.testing.assert_array_equal(maps.base_color, 100)


def test_its_own_occlusion_is_kept():
    material = SourceMaterial(occlusion_map=flat(90, 0, 0))
    maps = baked(source_of([quad()], material), occlusion=True).maps
    assert (maps.orm[..., 0] == 90).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_its_own_normal_map_is_carried_into_the_new_frames(mirrored):
    """The bumps lean towards growing u of the source, which is +X, or -X where that is mirrored."""
    part = quad()
    if mirrored:
        part["uv"] = part["uv"] * [-1, 1] + [1, 0]
    lean = np.round((np.array([0.6, 0, 0.8]) / 2 + 0.5) * 255).astype(int)
    maps = baked(source_of([part], SourceMaterial(normal_map=flat(*lean))), normal_map=True).maps
    expected = np.array([-0.6 if mirrored else 0.6, 0, 0.8])
    np.testing.assert_allclose(maps.normal / 255 * 2 - 1, np.broadcast_to(expected, (16, 16, 3)), atol=0.02)


def test_a_mesh_without_texture_coordinates_has_its_factors():
    source = source_of([quad()], SourceMaterial(base_color_map=flat(9, 9, 9), base_color=(1.0, 1.0, 1.0)))
    bare = SourceMesh(source.vertices, source.faces, None, None, None, source.material, source.materials)
    assert (baked(bare).maps.base_color == 255).all()
