"""Terms of triangles against threestudio's, stable-dreamfusion's and ProlificDreamer's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gen3d import Guidance, Signal, Step, Triangles, Unsupported
from gen3d.testing import check_guidance, toy_cameras, toy_stage
from gen3d_mesh.laplacian import Laplacian
from gen3d_mesh.normal_consistency import NormalConsistency
from gen3d_mesh.topology import edges_of, face_normals, vertex_normals
from plain_surface import PlainSurface, bound, square, tilted_box

GOLDEN = Path(__file__).parents[1] / "golden" / "sds_vsd" / "losses.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    """A noisy icosahedron, float64."""
    with np.load(GOLDEN) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def exactly(got: Tensor | None, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def say(guidance: Guidance, surface: PlainSurface) -> Signal:
    """What a term says of a surface."""
    stage = toy_stage({})
    stage.representation = surface
    guidance.bind(stage)
    return guidance(Step(0, 1))


TERMS = [
    (NormalConsistency(), "ts_normal_consistency"),
    (NormalConsistency("faces"), "sdf_normal_consistency"),
    (NormalConsistency("faces"), "pd_normal_consistency"),
    (Laplacian(), "ts_laplacian"),
    (Laplacian(), "sdf_laplacian"),
    (Laplacian(), "pd_laplacian"),
]


@pytest.mark.parametrize(("guidance", "key"), TERMS, ids=[key for _, key in TERMS])
def test_values_and_gradients_are_published_ones(guidance: Guidance, key: str, golden: dict[str, Tensor]) -> None:
    surface = PlainSurface(golden["mesh_v"].clone(), golden["mesh_f"])
    loss = say(guidance, surface).loss
    exactly(loss.detach(), golden[key])
    loss.backward()
    if f"{key}_grad" in golden:
        exactly(surface.vertices.grad, golden[f"{key}_grad"])


def test_edges_and_vertex_normals_are_threestudios(golden: dict[str, Tensor]) -> None:
    mesh = Triangles(golden["mesh_v"], golden["mesh_f"])
    edges = edges_of(mesh.faces, 12)
    assert edges.ends.tolist() == sorted(golden["ts_mesh_edges"].sort(1).values.tolist())
    exactly(vertex_normals(mesh), golden["ts_vertex_normals"])


def test_each_edge_has_the_faces_at_it(golden: dict[str, Tensor]) -> None:
    faces = golden["mesh_f"]
    edges = edges_of(faces, 12)
    for ends, sides in zip(edges.ends.tolist(), edges.faces.tolist(), strict=True):
        at = [i for i, face in enumerate(faces.tolist()) if set(ends) <= set(face)]
        assert sorted(sides) == at


def test_a_rim_has_one_face() -> None:
    _, faces = square()
    edges = edges_of(faces, 4)
    assert (edges.faces[:, 1] < 0).sum() == 4
    assert edges.faces[(edges.ends == torch.tensor([0, 2])).all(1)].tolist() == [[0, 1]]


def test_terms_of_a_flat_square_are_zero_and_have_gradients_that_are_finite() -> None:
    for guidance in (NormalConsistency(), NormalConsistency("faces")):
        surface = PlainSurface(*square())
        loss = say(guidance, surface).loss
        assert loss.item() == pytest.approx(0, abs=1e-6)
        loss.backward()
        assert surface.vertices.grad.isfinite().all()


def test_faces_without_area_do_not_spoil_the_rest() -> None:
    vertices, faces = square()
    flat = torch.cat([faces, torch.tensor([[0, 1, 1]])])
    for guidance in (NormalConsistency(), NormalConsistency("faces"), Laplacian()):
        surface = PlainSurface(vertices, flat)
        loss = say(guidance, surface).loss
        loss.backward()
        assert loss.isfinite()
        assert surface.vertices.grad.isfinite().all()
    assert face_normals(Triangles(vertices, flat))[2].tolist() == [0, 0, 0]


@pytest.mark.parametrize("guidance", [NormalConsistency(), NormalConsistency("faces"), Laplacian()])
def test_they_keep_the_contract(guidance: Guidance) -> None:
    from gen3d_mesh.raster import Raster

    stage = toy_stage({})
    stage.representation, stage.renderer = PlainSurface.of(tilted_box()), bound(Raster())
    guidance.bind(stage)
    check_guidance(guidance, stage=stage)


def test_they_make_no_picture_of_their_own() -> None:
    random = toy_cameras()
    for guidance in (NormalConsistency(), Laplacian()):
        assert guidance.cameras(Step(0, 1), random) == (random,)
        assert guidance.needs == frozenset()


@pytest.mark.parametrize("guidance", [NormalConsistency(), Laplacian()])
def test_a_field_without_triangles_is_refused(guidance: Guidance) -> None:
    with pytest.raises(Unsupported, match="a ToyField has none"):
        guidance.bind(toy_stage({}))
