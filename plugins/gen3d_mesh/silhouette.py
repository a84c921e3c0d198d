"""Silhouettes with gradients: pixels beside them are blended by where they run between pixel centres.

What a pixel's centre sees does not change when a vertex moves a little, so its gradient says nothing about outlines. As
in Laine et al. 2020 (nvdiffrast, section 3.4), an outline that crosses the line between the centres of two neighbouring
pixels moves one of them towards the other, which is what a box filter along that line would show. Unlike there, the
outline is followed itself, edge by edge, and not looked for in the triangles that the pixels happen to see: those are
smaller than a pixel in small pictures of fine meshes, and rarely the ones at the outline.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d_mesh.screen import Screen
from gen3d_mesh.topology import Edges

FARTHER = 0.1
"""By how much, relative to the outline's distance, what lies within it may be farther away."""

SHALLOW = 8.0
"""Slope of an edge against a line of pixels from which on its crossing says nothing about where the edge is."""


@dataclass(frozen=True, eq=False)
class Outline:
    """Where outlines cross the lines between the centres of neighbouring pixels.

    Args:
        within: the pixel whose centre is on the object's side.
        beyond: its neighbour across the outline.
        share: of the way from `within` to `beyond` at which the outline lies; differentiable.
        closeness: 1 / distance of the outline there, along the view's axis.
        direction: in which of four `beyond` lies; the first two are along rows.
    """

    within: Int[Tensor, " crossings"]
    beyond: Int[Tensor, " crossings"]
    share: Float[Tensor, " crossings"]
    closeness: Float[Tensor, " crossings"]
    direction: Int[Tensor, " crossings"]

    def where(self, chosen: Tensor) -> "Outline":
        """The chosen crossings."""
        parts = (self.within, self.beyond, self.share, self.closeness, self.direction)
        return Outline(*(values[chosen] for values in parts))


def antialias(
    layers: Float[Tensor, "pixels channels"], closeness: Float[Tensor, " pixels"], screen: Screen, edges: Edges
) -> Float[Tensor, "pixels channels"]:
    """Blend pixels on both sides of outlines.

    Along an axis a pixel takes from its neighbour |share - 1/2|: the pixel beyond where the outline lies in its half of
    the way, the one within otherwise. Of the two axes the one counts along which more is taken: for a straight outline
    that is the axis which it crosses more steeply, and what is taken is exact.

    Args:
        layers: what each pixel's centre sees, 0 where that is nothing.
        closeness: 1 / distance of that along the view's axis, 0 where it is nothing.
        screen: the mesh in the pictures.
        edges: of the mesh.
    """
    outline = _outlines(screen, edges)
    outline = outline.where(_visible(outline, closeness))
    outward = outline.share > 0.5  # noqa: PLR2004 (half of the way)
    target = torch.where(outward, outline.beyond, outline.within)
    source = torch.where(outward, outline.within, outline.beyond)
    taken = (outline.share - 0.5).abs()
    axis = outline.direction // 2
    total = taken.new_zeros(2 * screen.pixels).index_add_(0, axis * screen.pixels + target, taken.detach())
    chosen = (axis == (total[screen.pixels :] > total[: screen.pixels])[target].long()).nonzero().squeeze(1)
    target, source, taken = target[chosen], source[chosen], taken[chosen]
    return layers.index_add(0, target, taken[:, None] * (layers[source] - layers[target]))


def _outlines(screen: Screen, edges: Edges) -> Outline:
    """Every crossing of an edge between a face that shows its outer side and one that does not."""
    shown = screen.front[:, edges.faces] & (edges.faces >= 0)
    view, edge = (shown[..., 0] != shown[..., 1]).nonzero().unbind(1)
    face = torch.where(shown[view, edge, 0], edges.faces[edge, 0], edges.faces[edge, 1])
    ends = edges.ends[edge]
    third = screen.faces[face].sum(1) - ends.sum(1)  # the face's corner that is not on the edge
    vertices = torch.cat([ends, third[:, None]], dim=1) + (view * screen.places.shape[1])[:, None]
    corners = screen.places.flatten(0, 1).index_select(0, vertices.flatten()).view(-1, 3, 3)
    start = view * screen.height * screen.width
    rows = _along(corners, start, (screen.width, screen.height), (1, screen.width), 0)
    columns = _along(corners[..., [1, 0, 2]], start, (screen.height, screen.width), (screen.width, 1), 2)
    names = ("within", "beyond", "share", "closeness", "direction")
    return Outline(*(torch.cat([getattr(part, name) for part in (rows, columns)]) for name in names))


def _along(
    corners: Float[Tensor, "edges 3 3"],
    start: Int[Tensor, " edges"],
    size: tuple[int, int],
    stride: tuple[int, int],
    direction: int,
) -> Outline:
    """Crossings with lines of pixel centres.

    Args:
        corners: both ends of each edge and the third corner of its face: along the lines, across them, distance.
        start: number of the first pixel of each edge's picture.
        size: pixels along the lines and across them.
        stride: from a pixel's number to the next one's, likewise.
        direction: name of the direction towards higher numbers; the opposite one is the next.
    """
    fixed = corners.detach()
    spans = fixed[:, :2, 1].sort(1).values.sub(0.5).ceil().clamp(0, size[1]).long()
    count = spans[:, 1] - spans[:, 0]
    edge = torch.arange(len(count), device=count.device).repeat_interleave(count)
    line = torch.arange(len(edge), device=count.device) - (count.cumsum(0) - count - spans[:, 0])[edge]
    a, b, third = corners[edge].unbind(1)
    run, rise = (b - a)[:, 0], (b - a)[:, 1]
    along = (line + 0.5 - a[:, 1]) / rise
    along = torch.where(run.abs() > SHALLOW * rise.abs(), along.detach(), along)
    place = a[:, 0] + along * run - 0.5
    with torch.no_grad():
        closeness = torch.lerp(1 / a[:, 2], 1 / b[:, 2], along)
        before = third[:, 0] < a[:, 0] + (third[:, 1] - a[:, 1]) / rise * run  # the face lies towards lower numbers
        lower = place.floor().long()
        number = start[edge] + lower * stride[0] + line * stride[1]
        kept = ((lower >= 0) & (lower < size[0] - 1)).nonzero().squeeze(1)
    share = place - lower
    found = Outline(
        within=torch.where(before, number, number + stride[0]),
        beyond=torch.where(before, number + stride[0], number),
        share=torch.where(before, share, 1 - share),
        closeness=closeness,
        direction=torch.where(before, direction, direction + 1),
    )
    return found.where(kept)


@torch.no_grad()
def _visible(outline: Outline, closeness: Float[Tensor, " pixels"]) -> Int[Tensor, " seen"]:
    """Which crossings are seen, at most one from each pixel in each direction: the farthest out."""
    inner = closeness[outline.within]
    seen = (inner > 0) & (inner > outline.closeness * (1 - FARTHER)) & (closeness[outline.beyond] < outline.closeness)
    numbers = seen.nonzero().squeeze(1)
    way = 4 * outline.within[numbers] + outline.direction[numbers]
    share = outline.share.detach()[numbers]
    farthest = share.new_zeros(4 * len(closeness)).scatter_reduce_(0, way, share, "amax")
    tied = (share == farthest[way]).nonzero().squeeze(1)
    last = numbers.new_zeros(4 * len(closeness)).scatter_reduce_(0, way[tied], tied, "amax")
    return numbers[tied[last[way[tied]] == tied]]
