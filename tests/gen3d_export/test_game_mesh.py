import json
import sys

import numpy as np
import pytest
import torch
import trimesh

import gen3d_export
from gen3d.errors import BadInput, Degenerate, Unavailable, Unsupported
from gen3d.registry import Registrar, Registry
from gen3d.representation import Representation
from gen3d_export.formats.glb import write_glb
from gen3d_export.game_mesh import GameMesh
from gen3d_export.presets import PRESETS
from gen3d_export.write import WRITERS
from plain_surface import PlainSurface
from small_asset import COLORS, SIDES, SIZE, box_body

SMALL = {"triangles": 3000, "texture": 128, "resolution": 64, "pivot": "keep", "height": 0.5}
"""Where the ball is, and as large as it is, in the field."""
SEAMS = 12
"""By how much, of 255, evening out the seams may change a colour near one: these end where no seam should be seen."""

FRONT, UP, RIGHT = np.array([0, 0, 1.0]), np.array([0, 1.0, 0]), np.array([1.0, 0, 0])  # in the file
RED, GREEN, BLUE, CYAN = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255)


@pytest.fixture
def middle(center):
    """The ball's centre in a file with the field's own origin and size."""
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
        assert color_towards(mesh, direction, middle) == pytest.approx(color, abs=SEAMS)


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
        assert color_towards(mesh, direction, middle) == pytest.approx(color, abs=SEAMS)
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
    [("obj", ["asset.obj", "asset.json", "asset.mtl", "asset_base_color.png"]), ("ply", ["asset.ply", "asset.json"])],
)
def test_other_formats_stand_the_same_way(tmp_path, ball, middle, kind, names):
    paths = GameMesh(format=kind, **SMALL).export(ball(), tmp_path)
    assert [path.name for path in paths] == names
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    mesh = trimesh.load_mesh(paths[0], process=False)
    for direction, color in ((FRONT, RED), (RIGHT, GREEN), (UP, BLUE), (-FRONT, CYAN)):
        assert color_towards(mesh, direction, middle) == pytest.approx(color, abs=SEAMS)


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
    [
        *(("triangles", 0), ("texture", 100_000), ("resolution", 2), ("lods", 9), ("lods", -1)),
        *(("threshold", 0.0), ("threshold", -5.0), ("texture", 1000), ("height", "tall"), ("height", 0.0)),
        *(("collision", "mesh"), ("collision", "convex:0"), ("collision", "convex"), ("format", [])),
    ],
)
def test_what_cannot_be_made_is_bad_input(key, value):
    with pytest.raises(BadInput, match=key):
        GameMesh(**{key: value})


def test_a_texture_is_a_power_of_two():
    with pytest.raises(BadInput) as raised:
        GameMesh(texture=1000)
    assert "512 or 1024" in raised.value.remedy


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_decides_what_is_not_given(preset):
    budget, plan = PRESETS[preset], GameMesh(preset=preset).plan
    assert (plan.triangles, plan.texture, plan.padding) == (budget.triangles, budget.texture, budget.padding)
    assert plan.normal_map == plan.occlusion == budget.normal_map
    other = GameMesh(preset=preset, triangles=77, texture=256, normal_map=not budget.normal_map, occlusion=False).plan
    assert (other.triangles, other.texture, other.padding) == (77, 256, max(budget.padding * 256 // budget.texture, 2))
    assert other.normal_map is not budget.normal_map
    assert other.occlusion is False


def test_missing_packages_are_told_before_a_run(monkeypatch):
    for module in ("pxr", "DracoPy"):
        monkeypatch.setitem(sys.modules, module, None)
    for keys in ({"format": ["glb", "usdz"]}, {"compress": "draco"}):
        with pytest.raises(Unavailable, match="not installed"):
            GameMesh(**keys)


def test_levels_hulls_size_and_provenance(tmp_path, ball):
    exporter = GameMesh(
        ["glb", "obj"], triangles=800, texture=64, resolution=48, lods=2, collision="box", height="20cm"
    )
    exporter.provenance = {"recipe": "a ball"}
    (tmp_path / "ball_LOD3.glb").touch()  # of an earlier export
    paths = exporter.export(ball(), tmp_path, "Ball")
    glb = [tmp_path / f"Ball{level}.glb" for level in ("", "_LOD1", "_LOD2")]
    assert paths[0] == glb[0]
    assert {*glb, tmp_path / "Ball_LOD2.obj", tmp_path / "Ball_collision.glb", tmp_path / "Ball.json"} < set(paths)
    figures = json.loads((tmp_path / "Ball.json").read_text())
    meshes = [trimesh.load_mesh(path, process=False) for path in glb]
    assert [len(mesh.faces) for mesh in meshes] == [level["triangles"] for level in figures["levels"]]
    assert 700 < len(meshes[0].faces) <= 800
    assert len(meshes[1].faces) == pytest.approx(0.5 * len(meshes[0].faces), abs=4)
    assert len(meshes[2].faces) == pytest.approx(0.25 * len(meshes[0].faces), abs=4)
    assert [len(np.asarray(mesh.visual.material.baseColorTexture)) for mesh in meshes] == [64, 32, 16]
    np.testing.assert_allclose(meshes[0].bounds, [[-0.1, 0, -0.1], [0.1, 0.2, 0.1]], atol=0.004)
    hull = trimesh.load_mesh(tmp_path / "Ball_collision.glb")
    np.testing.assert_allclose(hull.bounds, meshes[0].bounds, atol=1e-5)
    assert (figures["name"], figures["pivot"], figures["size_assumed"]) == ("ball", "bottom", False)
    assert figures["provenance"] == {"recipe": "a ball"}


def test_without_a_height_the_longest_side_is_a_metre_and_said_to_be_assumed(tmp_path, ball):
    paths = GameMesh(triangles=400, texture=16, resolution=32).export(ball(), tmp_path)
    figures = json.loads(paths[1].read_text())
    assert max(figures["size"]) == 1
    assert figures["size_assumed"] is True
    assert figures["bounds"][0][1] == 0


def test_another_programs_mesh_goes_the_same_way(tmp_path):
    write_glb(tmp_path / "box.glb", "box", box_body(120))
    paths = GameMesh(texture=128, collision="box", engine="godot").export_file(
        tmp_path / "box.glb", tmp_path / "out", "crate"
    )
    assert [path.name for path in paths] == ["crate.glb", "crate.json", "crate_collision.glb"]
    scene = trimesh.load_scene(paths[0], process=False)
    assert set(scene.geometry) == {"crate", "crate_hull_00-convcolonly"}
    mesh = scene.geometry["crate"]
    np.testing.assert_allclose(mesh.extents, SIZE, atol=1e-5)  # glTF is in metres
    assert mesh.volume == pytest.approx(np.prod(SIZE), rel=1e-4)
    picture = np.asarray(mesh.visual.material.baseColorTexture)
    middle = mesh.visual.uv[mesh.faces].mean(axis=1) * [1, -1] + [0, 1]
    row, column = (middle * len(picture)).astype(int).T[::-1]
    for normal, color in zip([side[0] for side in SIDES], COLORS, strict=True):
        there = mesh.face_normals @ np.array(normal) > 0.99
        np.testing.assert_allclose(picture[row, column][there], [color, color], atol=2 * SEAMS)
    figures = json.loads(paths[1].read_text())
    assert figures["size_assumed"] is False
    assert figures["source"]["file"] == "box.glb"
    assert len(figures["source"]["sha256"]) == 64


def test_a_file_that_is_no_object_writes_nothing(tmp_path):
    (tmp_path / "empty.ply").write_text("ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nend_header\n")
    with pytest.raises(BadInput):
        GameMesh().export_file(tmp_path / "empty.ply", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_the_old_asset(tmp_path, ball, monkeypatch):
    exporter = GameMesh(triangles=100, texture=16, resolution=32, lods=1)
    before = {path: path.read_bytes() for path in exporter.export(ball(), tmp_path)}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(WRITERS, "glb", lambda path, *rest: full() if "LOD" in path.name else path.write_bytes(b"new"))
    with pytest.raises(BadInput, match="No space left"):
        exporter.export(ball(), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
