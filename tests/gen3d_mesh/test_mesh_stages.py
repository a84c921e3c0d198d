"""A field becomes a surface, the surface its colours, and both a file: three stages of one run."""

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from gen3d.errors import Degenerate
from gen3d.export import export
from gen3d.recipe import Recipe
from gen3d.run import Run

PICTURE = Path(__file__).parents[2] / "examples" / "barrel.png"
RECIPE = f"""
gen3d: 1
name: stages
device: cpu
inputs: {{image: {PICTURE}}}
cameras: {{views: 1, size: 20}}
guidance: {{input_view: {{type: reference_view, weight: 10, size: 20}}}}
optimizer: {{type: adam, lr: 0.02}}
stages:
  field:
    steps: 8
    representation: {{type: voxel, channels: rgb, resolution: 20, box: 0.6, blob_density: 200, blob_radius: 0.4}}
  geometry:
    steps: 6
    from: field
    representation:
      type: tetrahedra
      resolution: 16
      texture: {{type: voxel, channels: rgb, resolution: 20, box: 0.6}}
    renderer: {{type: raster, random_background: 0.5}}
    guidance: {{smooth: {{type: normal_consistency}}, even: {{type: laplacian}}}}
    optimizer: {{groups: {{representation.texture: 0}}}}
  texture:
    steps: 6
    from: geometry
    representation:
      type: tetrahedra
      resolution: 16
      frozen: geometry
      texture: {{type: voxel, channels: rgb, resolution: 20, box: 0.6}}
    renderer: {{type: raster}}
export: {{type: game_mesh, triangles: 1000, texture: 64}}
"""


def run_of(folder: Path, *overrides: str) -> Run:
    (folder / "recipe.yaml").write_text(RECIPE)
    return Run(Recipe.load(folder / "recipe.yaml", [f"output={folder / 'run'}", *overrides]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = run_of(tmp_path_factory.mktemp("stages"))
    run.start()
    return run


def test_three_stages_hand_the_object_on_and_export_it(finished: Run) -> None:
    assert finished.warnings == []
    field, geometry, texture = (finished.objects[name] for name in ("field", "geometry", "texture"))
    assert not torch.equal(geometry.offsets, torch.zeros_like(geometry.offsets))
    torch.testing.assert_close(texture.triangles().vertices, geometry.triangles().vertices.detach(), rtol=0, atol=0)
    points = geometry.triangles().vertices.detach()
    torch.testing.assert_close(geometry.texture(points), field.features(points))  # at a rate of 0
    assert (texture.texture(points) - field.features(points)).abs().max() > 0.01
    mesh = trimesh.load_mesh(finished.outputs[0], process=False)
    assert 500 < len(mesh.faces) <= 1000
    size = (points.max(0).values - points.min(0).values)[[1, 2, 0]].numpy()
    np.testing.assert_allclose(mesh.extents, size / size.max(), atol=0.02)
    assert mesh.bounds[0, 1] == pytest.approx(0, abs=1e-6)


def test_a_finished_run_is_exported_again_from_its_checkpoint(finished: Run, tmp_path: Path) -> None:
    paths = export(finished.directory, tmp_path / "again.glb")
    first, again = (trimesh.load_mesh(path, process=False) for path in (finished.outputs[0], paths[0]))
    np.testing.assert_array_equal(again.vertices, first.vertices)
    np.testing.assert_array_equal(again.visual.material.baseColorTexture, first.visual.material.baseColorTexture)


def test_an_empty_field_ends_the_run_with_the_threshold_and_the_density(tmp_path: Path) -> None:
    run = run_of(tmp_path, "stages.geometry.representation.threshold=100000")
    with pytest.raises(Degenerate, match=r"threshold is 1e\+05 and the density never exceeds \d+"):
        run.start()
