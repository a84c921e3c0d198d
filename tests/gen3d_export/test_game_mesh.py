import json

import numpy as np
import pytest
import torch
import trimesh

import gen3d_export
from gen3d.errors import BadInput, Degenerate, Unsupported
from gen3d.registry import Registrar, Registry
from gen3d.representation import Representation
from gen3d_export.game_mesh import GameMesh
from plain_surface import PlainSurface

SMALL = {"triangles": 3000, "texture": 128, "resolution": 64}
FRONT, UP, RIGHT = np.array([0, 0, 1.0]), np.array([0, 1.0, 0]), np.array([1.0, 0, 0])  # in the file
RED, GREEN, BLUE, CYAN = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255)


@pytest.fixture
def middle(center):
    """The ball's centre in the file."""
    return center.numpy()[[1, 2, 0]]


def color_towards(mesh, direction, middle):
    """The 8-bit colour of the surface in a direction from the middle of the ball."""
    vertex = ((mesh.vertices - middle) @ direction).argmax()
    colors = mesh.visual.to_color().vertex_colors if mesh.visual.kind == "texture" else mesh.visual.vertex_colors
    return tuple(int(value) for value in colors[vertex][:3])


def test_recipes_find_it():
    registry = Registry()
    gen3d_export.register_components(Registrar(registry, "export"))
    assert registry.component("exporter", "game_mesh").load() is GameMesh


def test_glb_of_a_ball(tmp_path, ball, middle, radius):
    paths = GameMesh(**SMALL).export(ball(softness=0.004, voxel_size=1 / 32), tmp_path, "thing")
    assert paths == [tmp_path / "thing.glb", tmp_path / "thing.json"]
    assert sorted(tmp_path.iterdir()) == paths
    (mesh,) = trimesh.load_scene(paths[0], process=False).geometry.values()
    assert 2000 < len(mesh.faces) <= 3000
    assert np.linalg.norm(mesh.vertices - middle, axis=1) == pytest.approx(radius, abs=1 / 64)
    assert mesh.volume > 0
    away = (mesh.vertices - middle) / np.linalg.norm(mesh.vertices - middle, axis=1, keepdims=True)
    assert (away * mesh.vertex_normals).sum(axis=1).min() > np.cos(np.radians(8))
    for direction, color in ((FRONT, RED), (RIGHT, GREEN), (UP, BLUE), (-FRONT, CYAN)):
        assert color_towards(mesh, direction, middle) == pytest.approx(color, abs=2)


def test_figures_beside_it_are_those_of_the_file(tmp_path, ball):
    paths = GameMesh(**SMALL).export(ball(), tmp_path)
    figures = json.loads(paths[1].read_text())
    (mesh,) = trimesh.load_scene(paths[0], process=False).geometry.values()
    assert figures["triangles"] == len(mesh.faces)
    assert figures["vertices"] == len(mesh.vertices)
    np.testing.assert_allclose(figures["bounds"], mesh.bounds, atol=1e-5)
    assert figures["texture"] == 128
    assert figures["watertight"] is True
    assert 0 < figures["threshold"] < 300


@pytest.mark.parametrize("kind", ["glb", "ply"])
def test_a_surface_is_exported_as_it_is(tmp_path, ball, center, radius, middle, kind):
    fine = trimesh.creation.icosphere(subdivisions=5, radius=radius).apply_translation(center.numpy())
    surface = PlainSurface.of(fine, ball().color)
    paths = GameMesh(format=kind, **SMALL).export(surface, tmp_path)
    mesh = trimesh.load_mesh(paths[0], process=False)
    assert 2000 < len(mesh.faces) <= 3000
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices - middle, axis=1), radius, atol=0.002)
    for direction, color in ((FRONT, RED), (RIGHT, GREEN), (UP, BLUE), (-FRONT, CYAN)):
        assert color_towards(mesh, direction, middle) == pytest.approx(color, abs=2)
    figures = json.loads(paths[1].read_text())
    assert figures["watertight"] is True
    assert figures["threshold"] is None


def test_a_surface_that_is_no_object_writes_nothing(tmp_path):
    card = PlainSurface.of(trimesh.creation.box((0.8, 0.8, 0.01)))
    with pytest.raises(Degenerate, match=r"flat: it measures 0\.8 x 0\.8 x 0\.01\n"):
        GameMesh(**SMALL).export(card, tmp_path / "out")
    broken = PlainSurface.of(trimesh.creation.box((0.8, 0.8, 0.8)))
    with torch.no_grad():
        broken.vertices[0, 0] = torch.nan
    with pytest.raises(Degenerate, match=r"4\.2% of the surface's coordinates are not finite"):
        GameMesh(**SMALL).export(broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["glb", "obj", "ply"])
def test_a_known_colour_survives_to_the_file(tmp_path, shape, kind):
    known = torch.tensor([0.2, 0.45, 0.8])
    field = shape(lambda p: p.norm(dim=-1) - 0.3, lambda p: known.expand(len(p), 3))
    path = GameMesh(format=kind, **SMALL).export(field, tmp_path)[0]
    mesh = trimesh.load_mesh(path, process=False)
    colors = mesh.visual.to_color().vertex_colors if mesh.visual.kind == "texture" else mesh.visual.vertex_colors
    np.testing.assert_allclose(colors[:, :3], np.broadcast_to(known * 255, (len(colors), 3)), atol=2)


@pytest.mark.parametrize(
    ("kind", "names"),
    [("obj", ["asset.obj", "asset.json", "asset.mtl", "asset.png"]), ("ply", ["asset.ply", "asset.json"])],
)
def test_other_formats_stand_the_same_way(tmp_path, ball, middle, kind, names):
    paths = GameMesh(format=kind, **SMALL).export(ball(), tmp_path)
    assert [path.name for path in paths] == names
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    mesh = trimesh.load_mesh(paths[0], process=False)
    for direction, color in ((FRONT, RED), (RIGHT, GREEN), (UP, BLUE), (-FRONT, CYAN)):
        assert color_towards(mesh, direction, middle) == pytest.approx(color, abs=2)


def test_a_field_of_latents_is_refused_with_the_way_out(tmp_path, ball):
    field = ball()
    field.space = "latent"
    with pytest.raises(Unsupported) as raised:
        GameMesh().export(field, tmp_path / "out")
    assert "no colours to bake" in str(raised.value)
    assert "add a stage" in raised.value.remedy
    assert not (tmp_path / "out").exists()


def test_what_is_no_radiance_field_is_refused(tmp_path):
    class Nothing(Representation):
        pass

    with pytest.raises(Unsupported, match="Nothing is neither"):
        GameMesh().export(Nothing(), tmp_path)


def test_a_degenerate_object_writes_nothing(tmp_path, ball):
    with pytest.raises(Degenerate, match="is empty"):
        GameMesh(**SMALL).export(ball(peak=0.1), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [("triangles", 0), ("texture", 100_000), ("resolution", 2), ("threshold", 0.0), ("threshold", -5.0)],
)
def test_numbers_that_cannot_be_are_bad_input(key, value):
    with pytest.raises(BadInput, match=key):
        GameMesh(**{key: value})
