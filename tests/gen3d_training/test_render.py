import math

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial

from gen3d.cameras import Cameras
from gen3d.errors import BadInput
from gen3d_training.model import load_model
from gen3d_training.render import AMBIENT, random_light, render

FOV = math.radians(49.1)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
# Sides of a glTF box by their outward normal: +Z is its front, +X the viewer's right, +Y its top.
SIDES = {(0, 0, 1): RED, (1, 0, 0): GREEN, (0, 1, 0): BLUE}
FROM_CAMERA = np.array([1.0, 0.0, 0.0])


@pytest.fixture
def cube(tmp_path):
    mesh = trimesh.creation.box((2, 2, 2))
    mesh = trimesh.Trimesh(mesh.triangles.reshape(-1, 3), np.arange(36).reshape(12, 3), process=False)
    colors = [SIDES.get(tuple(np.rint(normal).astype(int)), WHITE) for normal in mesh.face_normals]
    mesh.visual.vertex_colors = np.repeat(np.array(colors, dtype=np.uint8), 3, axis=0)
    mesh.apply_translation([5, -7, 11])
    mesh.export(tmp_path / "cube.ply")
    return load_model(tmp_path / "cube.ply")


def square(texture, uv=((0, 0), (1, 0), (1, 1), (0, 1)), *, flipped=False):
    """A unit square that faces the front, its texture's U to the viewer's right and V up."""
    corners = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])[:, :: -1 if flipped else 1]
    picture = Image.fromarray(np.array(texture, dtype=np.uint8))
    visual = trimesh.visual.TextureVisuals(uv=np.array(uv, float), material=PBRMaterial(baseColorTexture=picture))
    return trimesh.Trimesh(corners, faces, visual=visual, process=False)


def loaded(mesh, path):
    trimesh.Scene({"part": mesh}).export(path)
    return load_model(path)


def picture(model, azimuth=0.0, elevation=0.0, size=64, light=None, radius=2.0, supersample=2):
    cameras = Cameras.orbit(azimuth, elevation, radius, FOV, size)
    light = cameras.c2w[0, :3, 2].double().numpy() if light is None else light
    return render(model, cameras, light, supersample)[0]


@pytest.mark.parametrize(
    ("azimuth", "elevation", "color"),
    [(0, 0, RED), (90, 0, GREEN), (180, 0, WHITE), (270, 0, WHITE), (0, 90, BLUE), (0, -90, WHITE)],
)
def test_each_side_of_a_cube_is_seen_from_where_it_faces(cube, azimuth, elevation, color):
    view = picture(cube, math.radians(azimuth), math.radians(elevation))
    assert tuple(view[32, 32]) == (*color, 255)
    assert tuple(view[0, 0]) == (0, 0, 0, 0)


def test_silhouette_has_the_size_that_perspective_gives_it(cube):
    # The front side is 1 wide at distance 2 - 0.5.
    pixels = 64 / 2 / math.tan(FOV / 2) / 1.5
    view = picture(cube)
    assert view[32, :, 3].sum() / 255 == pytest.approx(pixels, abs=0.5)
    assert view[:, 32, 3].sum() / 255 == pytest.approx(pixels, abs=0.5)


def test_what_is_right_and_up_in_the_file_is_right_and_up_in_the_picture(tmp_path):
    colors = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]]  # rows from the top
    view = picture(loaded(square(colors), tmp_path / "a.glb"))
    assert [tuple(view[y, x, :3]) for y in (18, 46) for x in (18, 46)] == [c for row in colors for c in row]


def test_light_adds_to_the_ambient_share_by_the_cosine(cube):
    def red(degrees):
        light = np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0])
        return picture(cube, light=light)[32, 32, 0] / 255

    assert red(0) == pytest.approx(1)
    assert red(60) == pytest.approx(AMBIENT + (1 - AMBIENT) / 2, abs=2 / 255)
    assert red(120) == pytest.approx(AMBIENT, abs=2 / 255)


def test_both_sides_of_a_sheet_are_drawn_and_lit_from_the_viewers_side(tmp_path):
    front = picture(loaded(square([[WHITE]]), tmp_path / "a.glb"))
    back = picture(loaded(square([[WHITE]], flipped=True), tmp_path / "b.glb"))
    np.testing.assert_array_equal(front, back)
    assert tuple(front[32, 32]) == (255, 255, 255, 255)


def test_textures_are_interpolated_between_texel_centres(tmp_path):
    model = loaded(square([[(0, 0, 0), (255, 255, 255)]]), tmp_path / "a.glb")
    row = picture(model, size=128)[64, :, 0].astype(float)
    width = 128 / 2 / math.tan(FOV / 2) / 2
    u = (np.arange(128) + 0.5 - 64) / width + 0.5
    inside = (u > 0.05) & (u < 0.95)
    np.testing.assert_allclose(row[inside] / 255, np.clip(u[inside] * 2 - 0.5, 0, 1), atol=0.02)


def test_textures_repeat_outside_of_the_unit_square(tmp_path):
    texture = [[RED, RED, BLUE, BLUE]]
    shifted = square(texture, uv=((3, 0), (4, 0), (4, 1), (3, 1)))
    view = picture(loaded(shifted, tmp_path / "a.glb"))
    assert tuple(view[32, 18, :3]) == RED
    assert tuple(view[32, 46, :3]) == BLUE


def test_edges_are_covered_in_part_and_keep_their_colour(cube):
    view = picture(cube, azimuth=0.3, elevation=0.2, supersample=4)
    edge = (view[..., 3] > 0) & (view[..., 3] < 255)
    assert edge.sum() > 50
    assert view[edge][:, :3].max(axis=1).min() > 150  # straight alpha: not mixed with a black background
    assert (view[view[..., 3] == 0] == 0).all()


def test_views_do_not_depend_on_how_they_are_batched(cube, monkeypatch):
    cameras = Cameras.orbit(torch.linspace(0, 6, 5), 0.3, 1.7, FOV, 32)
    together = render(cube, cameras, FROM_CAMERA)
    monkeypatch.setattr("gen3d_training.render._RAYS", 2 * 64**2)
    np.testing.assert_array_equal(render(cube, cameras, FROM_CAMERA), together)


def test_lights_come_from_above_and_belong_to_their_name():
    lights = np.stack([random_light(0, f"object {at}") for at in range(200)])
    np.testing.assert_allclose(np.linalg.norm(lights, axis=1), 1, atol=1e-9)
    assert lights[:, 2].min() >= 0
    assert lights[:, 2].mean() == pytest.approx(0.5, abs=0.06)
    assert np.abs(lights[:, :2].mean(axis=0)).max() < 0.15
    np.testing.assert_array_equal(random_light(0, "a"), random_light(0, "a"))
    assert not np.allclose(random_light(0, "a"), random_light(1, "a"))


def test_models_are_centred_with_longest_side_one(tmp_path):
    trimesh.creation.box((2, 4, 1)).apply_translation([3, 4, 5]).export(tmp_path / "a.obj")
    mesh = load_model(tmp_path / "a.obj").mesh
    # glTF (X, Y, Z) = (2, 4, 1) is (Z, X, Y) = (1, 2, 4) in our axes.
    np.testing.assert_allclose(mesh.bounds, [[-0.125, -0.25, -0.5], [0.125, 0.25, 0.5]], atol=1e-9)
    raw = load_model(tmp_path / "a.obj", normalize=False).mesh
    np.testing.assert_allclose(raw.bounds.mean(axis=0), [5, 3, 4], atol=1e-9)


def test_nodes_are_placed_where_the_scene_has_them(tmp_path):
    scene = trimesh.Scene()
    for x in (0.0, 9.0):
        scene.add_geometry(
            trimesh.creation.box((1, 1, 1)), transform=trimesh.transformations.translation_matrix([x, 0, 0])
        )
    scene.export(tmp_path / "a.glb")
    model = load_model(tmp_path / "a.glb")
    np.testing.assert_allclose(model.mesh.extents, [0.1, 1, 0.1], atol=1e-6)
    assert len(model.mesh.faces) == 24
    assert np.bincount(model.part).tolist() == [12, 12]


def test_material_colours_are_linear_light_in_gltf(tmp_path):
    box = trimesh.creation.box((1, 1, 1))
    material = PBRMaterial(baseColorFactor=[128, 0, 255, 255])
    box.visual = trimesh.visual.TextureVisuals(uv=np.zeros((8, 2)), material=material)
    view = picture(loaded(box, tmp_path / "a.glb"), elevation=0.5)
    # 128/255 of the light is 188/255 in sRGB (IEC 61966-2-1); the light comes from the camera, onto no side squarely.
    ratio = view[32, 32, :3] / view[32, 32, 2]
    np.testing.assert_allclose(ratio * 255, [188, 0, 255], atol=2)


def cut(path):
    trimesh.creation.box((1, 1, 1)).export(path)
    path.write_bytes(path.read_bytes()[:200])


def points(path):
    trimesh.PointCloud(np.eye(3)).export(path)


def flat_point(path):
    trimesh.Trimesh(np.ones((3, 3)), [[0, 1, 2]], process=False).export(path)


def infinite(path):
    path.write_text("v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.glb", cut),
        ("a.glb", lambda path: path.touch()),
        ("a.ply", points),
        ("a.ply", flat_point),
        ("a.obj", infinite),
    ],
)
def test_a_file_without_a_surface_is_refused_by_name(tmp_path, name, make):
    make(tmp_path / name)
    with pytest.raises(BadInput, match=name):
        load_model(tmp_path / name)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(BadInput, match=r"absent\.glb"):
        load_model(tmp_path / "absent.glb")
