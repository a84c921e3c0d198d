"""From density, or a surface, to a clean triangle mesh in the world's frame."""

import mcubes
import numpy as np
import trimesh
from jaxtyping import Bool, Float
from scipy import ndimage

from gen3d.density_grid import Grid
from gen3d.errors import Degenerate
from gen3d.representation import RadianceField, Surface
from gen3d_export.decimate import decimate
from gen3d_export.edges import pieces
from gen3d_export.repair import repair
from gen3d_export.sampling import sample_surface
from gen3d_export.visibility import drop_hidden, without

FLOATER = 0.01
"""Share of the whole volume below which a loose piece is dropped: a ball of a fifth of the object's size."""

SOLID = 0.5
"""Share of the volume that must remain when loose pieces are dropped."""

PINCH = 1e-3
"""Opacity by which a grid node stays off the surface, which moves that by less than a hundredth of a cell."""

FULL = 0.95
"""Share of the box that no object fills."""

FLAT = 0.03
"""Shortest over middle side below which a result is a card. A sword is thin only against its length."""


def extract_mesh(
    field: RadianceField, triangles: int = 20_000, threshold: float | None = None, resolution: int = 160
) -> trimesh.Trimesh:
    """The field's surface as a closed mesh in the world's frame, outward winding, without colours.

    Args:
        field: what to extract.
        triangles: budget.
        threshold: density of the surface, per unit of length; None finds the one that cameras see.
        resolution: cells along the longest side of the field's box.

    Raises:
        Degenerate: the field is empty, flat, full or not finite.
    """
    return mesh_of(*sample_surface(field, resolution, threshold), triangles)


def mesh_of(grid: Grid, threshold: float, triangles: int) -> trimesh.Trimesh:
    """The surface at `threshold` within a budget. Raises Degenerate where it is no object."""
    return decimate(field_mesh(grid, threshold), triangles)


def field_mesh(grid: Grid, threshold: float) -> trimesh.Trimesh:
    """The whole surface at `threshold`, closed, without floaters and what is hidden.

    Raises Degenerate where it is no object.
    """
    mesh = drop_hidden(drop_floaters(repair(isosurface(grid, threshold))))
    check_extents(mesh, grid.spacing)
    return mesh


def whole_mesh(surface: Surface) -> trimesh.Trimesh:
    """A surface's own triangles, repaired, without floaters and what is hidden.

    Raises Degenerate where they are no object.
    """
    triangles = surface.triangles()
    vertices = triangles.vertices.detach().double().cpu().numpy()
    if not np.isfinite(vertices).all():
        raise Degenerate(
            f"{1 - np.isfinite(vertices).mean():.1%} of the surface's coordinates are not finite",
            remedy="the optimisation diverged: lower optimizer.lr or the guidance's weight and run again",
        )
    mesh = repair(trimesh.Trimesh(vertices, triangles.faces.cpu().numpy(), process=False))
    mesh = drop_hidden(drop_floaters(mesh))
    check_extents(mesh)
    return mesh


def isosurface(grid: Grid, threshold: float) -> trimesh.Trimesh:
    """Marching cubes at `threshold`, without hidden cavities. Raises Degenerate where nothing or all is inside.

    The density is first mapped to the opacity of a path on which the threshold itself absorbs half: bounded, so that
    linear interpolation is not pulled towards peaks, and blurred by half of the field's own detail, which removes
    the creases of its cells and not more.
    """
    opacity = 1 - np.exp2(-grid.density / threshold)
    opacity = ndimage.gaussian_filter(opacity, 0.5 * grid.detail / grid.spacing, mode="constant", truncate=3)
    opacity[_cavities(_inside(opacity, grid, threshold))] = 1
    # No node may lie on the surface: the vertices around it would coincide, and welding them would pinch it.
    opacity[np.abs(opacity - 0.5) < PINCH] = 0.5 + PINCH
    vertices, faces = mcubes.marching_cubes(opacity, 0.5)
    return trimesh.Trimesh(vertices * grid.spacing + grid.origin, faces.astype(np.int64), process=False)


def _inside(opacity: Float[np.ndarray, "x y z"], grid: Grid, threshold: float) -> Bool[np.ndarray, "x y z"]:
    inside = opacity > 0.5  # noqa: PLR2004 (half, by the definition of the opacity)
    peak = grid.density.max()
    if not inside.any():
        raise Degenerate(
            f"the object is empty: the surface threshold is {threshold:.3g} and the density hardly exceeds {peak:.3g}",
            remedy="lower export.threshold or leave it out, or optimise for longer",
        )
    share = inside[1:-1, 1:-1, 1:-1].mean()
    if share > FULL:
        raise Degenerate(
            f"the object fills {share:.0%} of its box at a surface threshold of {threshold:.3g}; "
            f"the density reaches {peak:.3g}",
            remedy="raise export.threshold, or add guidance that empties the field (emptiness, opacity)",
        )
    return inside


def _cavities(inside: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """Empty regions without a way out: optimisation leaves the inside of opaque objects undefined."""
    regions, _ = ndimage.label(~inside)
    return ~inside & (regions != regions[0, 0, 0])  # the corner is in the empty layer around the box


def drop_floaters(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh without loose pieces of less than 1 % of its volume. Raises Degenerate where there is little else."""
    piece = pieces(mesh.faces, len(mesh.vertices))
    volume = np.abs(np.bincount(piece, np.linalg.det(mesh.triangles) / 6))
    kept = volume >= FLOATER * volume.sum()
    if volume[kept].sum() < SOLID * volume.sum():
        raise Degenerate(
            f"the object is dust: {len(volume)} loose pieces, "
            f"the largest with {volume.max() / volume.sum():.1%} of the volume",
            remedy="optimise for longer, smooth the density with guidance, or change export.threshold",
        )
    return without(mesh, ~kept[piece])


def check_extents(mesh: trimesh.Trimesh, cell: float = 0.0) -> None:
    """Raises Degenerate where the surface is a card, or a speck next to a cell of the grid that it is from."""
    shortest, middle, _ = sorted(mesh.extents)
    if shortest < max(FLAT * middle, 2 * cell):
        size = " x ".join(f"{extent:.3g}" for extent in mesh.extents)
        raise Degenerate(
            f"the object is flat: it measures {size}" + (f", and a cell of the grid {cell:.3g}" if cell else ""),
            remedy="look at the previews from the side; more random cameras or a stronger guidance give it volume, "
            "a finer export.resolution keeps what is really thin",
        )
