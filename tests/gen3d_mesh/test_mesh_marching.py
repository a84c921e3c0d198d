"""Marching tetrahedra against Kaolin's and threestudio's, which agree."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gen3d_mesh.marching import EDGES, TETRAHEDRA, TRIANGLES, marching_tetrahedra, vertices_on

GOLDEN = Path(__file__).parents[1] / "golden" / "sds_vsd" / "marching_tets.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def exactly(got: Tensor | None, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def mesh(distances: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
    found = marching_tetrahedra(distances.view(4, 4, 4) > 0)
    return vertices_on(distances[found.edges], nodes[found.edges]), found.faces


def test_the_lattice_has_the_published_tetrahedra(golden: dict[str, Tensor]) -> None:
    cube = torch.tensor([[16 * x + 4 * y + z for x, y, z in corners] for corners in TETRAHEDRA])
    first = torch.tensor([16 * x + 4 * y + z for x in range(3) for y in range(3) for z in range(3)])
    assert torch.equal((first[:, None, None] + cube).view(-1, 4), golden["grid_tets"])


@pytest.mark.parametrize("kind", ["sphere", "random"])
def test_vertices_faces_and_gradients_are_kaolins(kind: str, golden: dict[str, Tensor]) -> None:
    distances = golden[f"{kind}_sdf"].clone().requires_grad_()
    nodes = golden["grid_vertices"].clone().requires_grad_()
    vertices, faces = mesh(distances, nodes)
    exactly(vertices.detach(), golden[f"{kind}_verts"])
    assert torch.equal(faces, golden[f"{kind}_faces"])
    (vertices * golden[f"{kind}_cotangent"]).sum().backward()
    exactly(distances.grad, golden[f"{kind}_grad_sdf"])
    exactly(nodes.grad, golden[f"{kind}_grad_grid_vertices"])


def test_nodes_that_are_moved_move_the_mesh(golden: dict[str, Tensor]) -> None:
    moved = golden["grid_vertices"] + golden["deform_offset_ts_range01_R3"]
    vertices, faces = mesh(golden["random_sdf"], moved)
    exactly(vertices, golden["deform_random_verts"])
    assert torch.equal(faces, golden["deform_random_faces"])


@pytest.mark.parametrize("case", range(16))
def test_each_case_of_a_tetrahedron_is_kaolins(case: int, golden: dict[str, Tensor]) -> None:
    """The published vertices are those of the crossed edges only, in the order of the edges."""
    distances, corners = golden["single_tet_sdf"][case], golden["single_tet_vertices"]
    edges = torch.tensor(EDGES)
    crossed = [e for e, (i, j) in enumerate(EDGES) if (distances[i] > 0) != (distances[j] > 0)]
    expected = golden["single_tet_verts_nanpad"][case]
    assert len(crossed) == int((~expected[:, 0].isnan()).sum())
    exactly(vertices_on(distances[edges[crossed]], corners[edges[crossed]]), expected[: len(crossed)])
    faces = [[crossed.index(edge) for edge in triangle] for triangle in TRIANGLES[case]]
    assert faces == [face for face in golden["single_tet_faces_pad"][case].tolist() if face[0] >= 0]


def test_a_ball_is_closed_and_its_normals_point_to_positive_distances() -> None:
    axis = torch.linspace(-1, 1, 21, dtype=torch.float64)
    nodes = torch.cartesian_prod(axis, axis, axis)
    distances = nodes.norm(dim=1) - 0.7
    found = marching_tetrahedra(distances.view(21, 21, 21) > 0)
    vertices = vertices_on(distances[found.edges], nodes[found.edges])
    a, b, c = vertices[found.faces].unbind(1)
    volume = (a * torch.linalg.cross(b, c)).sum() / 6
    assert volume.item() == pytest.approx(4 / 3 * np.pi * 0.7**3, rel=0.02)
    halves = torch.cat([found.faces[:, [0, 1]], found.faces[:, [1, 2]], found.faces[:, [2, 0]]])
    keys = halves[:, 0] * len(vertices) + halves[:, 1]
    assert len(keys.unique()) == len(keys)  # each edge once in each direction
    assert torch.equal(keys.unique(), (halves[:, 1] * len(vertices) + halves[:, 0]).unique())


def test_axes_may_differ_in_length() -> None:
    """A plane across a lattice of 3 x 2 x 2 cubes: four squares of two triangles."""
    x = torch.arange(4.0)[:, None, None].expand(4, 3, 3)
    found = marching_tetrahedra(x > 1.25)
    nodes = torch.cartesian_prod(torch.arange(4.0), torch.arange(3.0), torch.arange(3.0))
    vertices = vertices_on((x - 1.25).flatten()[found.edges], nodes[found.edges])
    assert torch.equal(vertices[:, 0], torch.full((len(vertices),), 1.25))
    a, b, c = vertices[found.faces].unbind(1)
    areas = torch.linalg.cross(b - a, c - a)[:, 0] / 2
    assert areas.sum().item() == pytest.approx(4)
    assert (areas > 0).all()


def test_where_there_is_no_surface_there_is_nothing() -> None:
    found = marching_tetrahedra(torch.ones(3, 3, 3) > 0)
    assert found.edges.shape == (0, 2)
    assert found.faces.shape == (0, 3)
