"""What the way from a run to a file costs, on a run whose object is known."""

import json
import math

import numpy as np
import pytest
import torch
import trimesh

from gen3d.cameras import Cameras
from gen3d.checkpoint import save_checkpoint
from gen3d.errors import BadInput
from gen3d.export import export
from gen3d.plugins import installed
from gen3d_export.audit import against
from gen3d_export.audit.against import around, psnr
from gen3d_export.audit.check import check
from gen3d_export.audit.read import read
from gen3d_export.audit.registration import aligned
from gen3d_export.audit.trace import Model, of_scene, pictures
from gen3d_export.formats.glb import write_glb
from gen3d_export.frame import to_gltf
from glb_edit import edit
from small_asset import COLORS, box_body
from soft_shapes import sides

RECIPE = """\
gen3d: 1
name: ball
steps: 1
representation: {type: voxel, resolution: 40, channels: rgb, box: 0.5}
renderer: {type: volume, background: black}
optimizer: {type: adam}
export: {type: game_mesh, triangles: 1500, texture: 128, resolution: 40}
"""


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Pictures large enough to show a loss, and quick to draw."""
    monkeypatch.setattr(against, "SIZE", 40)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run whose object is a hard ball with a colour for each side."""
    folder = tmp_path_factory.mktemp("run") / "ball"
    folder.mkdir()
    (folder / "resolved.yaml").write_text(RECIPE)
    voxel = installed().registry.component("representation", "voxel").load()(resolution=40, channels="rgb", box=0.5)
    axis = (torch.arange(40) + 0.5) / 40 - 0.5
    places = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)
    with torch.no_grad():
        inside = (places.norm(dim=-1) - 0.35) / 0.025
        voxel.raw_density.copy_((-40 * inside).clamp(-40, 150).reshape(40, 40, 40))
        color = torch.logit(sides(places).clamp(0.02, 0.98)).T.reshape(3, 40, 40, 40)
        voxel.raw_color.copy_(color)
    state = {"stage": "main", "step": 1, "parts": {"representation": voxel.trained_state()}}
    save_checkpoint(folder / "checkpoints" / "main-final.safetensors", state)
    return folder


@pytest.fixture(scope="module")
def glb(run, tmp_path_factory):
    """Its export, moved to a pivot and a height of its own."""
    out = tmp_path_factory.mktemp("asset") / "ball.glb"
    export(run, out, ["height=3.0", "pivot=bottom"])
    return out


def test_an_export_is_nearly_what_was_rendered(run, glb):
    report = check(glb, "prop", run)
    assert report["render"].status == "pass", report["render"]
    assert report.figures["psnr"] > 20
    assert report.figures["psnr_dense"] > 20
    assert report.figures["psnr_lost"] < 3
    assert report.figures["psnr_lost"] == pytest.approx(report.figures["psnr_dense"] - report.figures["psnr"], abs=2e-3)


def test_lost_colours_and_wrong_axes_are_found(run, glb, tmp_path):
    spoilt = tmp_path / "spoilt.glb"
    spoilt.write_bytes(glb.read_bytes())
    edit(spoilt, lambda tree: tree["materials"][0]["pbrMetallicRoughness"].pop("baseColorTexture"))
    assert check(spoilt, "prop", run)["render"].status == "fail"
    turned = tmp_path / "turned.glb"
    turned.write_bytes(glb.read_bytes())
    edit(turned, lambda tree: tree["nodes"][0].update(rotation=[math.sqrt(0.5), 0, 0, math.sqrt(0.5)]))
    report = check(turned, "prop", run)
    assert report["render"].status == "fail"
    assert report["render"].remedy
    assert check(turned, None, run)["render"].status == "pass"  # nothing to hold it against


def test_what_is_no_run_is_bad_input(glb, tmp_path):
    with pytest.raises(BadInput, match="is no run directory"):
        check(glb, against=tmp_path)


def test_cameras_are_all_around():
    cameras = around(8)
    assert len(cameras) == 24
    assert cameras.radius == pytest.approx(2.0)
    assert len({tuple(np.round(eye, 4)) for eye in cameras.position.numpy()}) == 24


def test_psnr_has_its_closed_form():
    images = np.zeros((2, 2, 2, 3))
    images[0] += 0.1
    images[1] += 0.01
    assert psnr(images, np.zeros((2, 2, 2, 3))) == pytest.approx((20 + 40) / 2)


def test_a_picture_of_a_file_has_its_colours_where_they_are(tmp_path):
    """A box, seen along its axes: front on +Z of the file, which is +X here."""
    write_glb(tmp_path / "box.glb", "box", box_body(12))
    scene = read(tmp_path / "box.glb")
    model = of_scene(scene, scene.positions[:, [2, 0, 1]] - [0, 0, 0.2])
    eyes = torch.tensor([[2.0, 0, 0], [-2.0, 0, 0], [0, 2.0, 0], [0, -2.0, 0]], dtype=torch.float64)
    images = pictures(model, Cameras.look_at(eyes, 0.5, 9))
    for image, color in zip(images, COLORS, strict=False):
        np.testing.assert_allclose(image[4, 4] * 255, color, atol=1e-6)
        np.testing.assert_array_equal(image[0, 0], [1, 1, 1])


def test_edges_are_antialiased():
    vertices = np.array([[0.0, -0.5, -0.5], [0, 0.5, -0.5], [0, 0.5, 0.5], [0, -0.5, 0.5]])
    model = Model(vertices, np.array([[0, 1, 2], [0, 2, 3]]), lambda faces, _: np.zeros((len(faces), 3)))
    camera = Cameras.look_at(torch.tensor([[1.0, 0, 0]]), 2 * math.atan(1.0), 6)  # two units across six pixels
    covered = 1 - pictures(model, camera)[0, :, :, 0]
    np.testing.assert_allclose(covered[2], [0, 0.5, 1, 1, 0.5, 0])


def test_pivot_and_scale_are_undone():
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.4)
    mesh.vertices *= [1, 0.6, 0.8]
    coarse = trimesh.creation.icosphere(subdivisions=2, radius=0.4)
    coarse.vertices *= [1, 0.6, 0.8]
    moved = to_gltf(np.asarray(coarse.vertices) * 7 + [3, -1, 5])
    back = aligned(moved, np.asarray(mesh.vertices), np.asarray(mesh.vertex_normals))
    np.testing.assert_allclose(back, coarse.vertices, atol=2e-3)


def test_the_command_prints_the_loss(run, glb):
    from click.testing import CliRunner

    from gen3d.cli import cli

    result = CliRunner().invoke(cli, ["check", str(glb), "--against", str(run), "--json"], standalone_mode=False)
    assert {"psnr", "psnr_dense", "psnr_lost"} <= set(json.loads(result.output)["figures"])
