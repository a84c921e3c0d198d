"""From the world to the picture, and which triangle each pixel sees."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gen3d.cameras import Cameras

NEAR = 0.01
"""Distance in front of a camera before which nothing is drawn, world units."""

SLACK = 1e-5
"""By how much a barycentric weight may be negative, so that no pixel falls between two triangles."""

CANDIDATES = 1 << 21
"""Pixels of bounding boxes that are tested at a time: bounds the memory."""


@dataclass(frozen=True, eq=False)
class Screen:
    """A mesh in the pictures of a batch of cameras.

    Args:
        places: of vertices: pixels to the right of the left border, pixels below the upper one, and distance along the
            view's axis, world units. The centre of the first pixel is at (0.5, 0.5).
        faces: vertex indices.
        front: which faces show their outer side and lie before the camera.
        height: of the pictures, pixels.
        width: likewise.
    """

    places: Float[Tensor, "views vertices 3"]
    faces: Int[Tensor, "faces 3"]
    front: Bool[Tensor, "views faces"]
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Of all pictures together, which are numbered view by view, row by row."""
        return len(self.places) * self.height * self.width

    def corners(self, owners: Int[Tensor, " owners"]) -> Float[Tensor, "owners 3 3"]:
        """Places of the corners of faces, which are numbered view by view."""
        count = len(self.faces)
        vertices = self.faces[owners % count] + (owners // count * self.places.shape[1])[:, None]
        return self.places.flatten(0, 1).index_select(0, vertices.flatten()).view(-1, 3, 3)


def project(vertices: Float[Tensor, "vertices 3"], faces: Int[Tensor, "faces 3"], cameras: Cameras) -> Screen:
    """Where the vertices appear, differentiable."""
    c2w, fov = cameras.c2w.to(vertices), cameras.fov.to(vertices)
    local = (vertices - c2w[:, None, :3, 3]) @ c2w[:, :3, :3]
    depth = -local[..., 2]
    scale = (cameras.height / 2 / torch.tan(fov / 2))[:, None] / depth.clamp_min(NEAR)
    x, y = cameras.width / 2 + scale * local[..., 0], cameras.height / 2 - scale * local[..., 1]
    places = torch.stack([x, y, depth], dim=-1)
    with torch.no_grad():
        a, b, c = places[:, faces.T].unbind(1)
        front = (_cross(b - a, c - a) < 0) & (torch.stack([a, b, c])[..., 2].amin(0) > NEAR)  # rows run downwards
    return Screen(places, faces, front, cameras.height, cameras.width)


@torch.no_grad()
def nearest_faces(screen: Screen) -> Int[Tensor, " pixels"]:
    """The face that each pixel's centre sees, numbered view by view; -1 where it sees none.

    Each face is tested in the pixels of its bounding box only, and of those that cover a pixel the nearest stays.
    """
    owners = screen.front.flatten().nonzero().squeeze(1)
    corners = screen.corners(owners)
    low, high = _pixel_box(corners, screen)
    tested = (high - low).prod(dim=1)
    found = tested.nonzero().squeeze(1)
    owners, corners, low, high, tested = (values[found] for values in (owners, corners, low, high, tested))
    planes = _planes(corners)
    nearest = corners.new_zeros(screen.pixels)
    result = owners.new_full((screen.pixels,), -1)
    for part in _parts(tested):
        face, pixel, closeness = _covered(planes, low, high, part, owners, screen)
        nearest.scatter_reduce_(0, pixel, closeness, "amax")
        won = closeness == nearest[pixel]
        pixel, face = pixel[won], face[won]
        result[pixel] = -1
        result.scatter_reduce_(0, pixel, owners[face], "amax")  # of equals the last: the same on every device
    return result


def _cross(one: Tensor, other: Tensor) -> Tensor:
    """Z of the cross product of vectors in the picture."""
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]


def _pixel_box(corners: Float[Tensor, "owners 3 3"], screen: Screen) -> tuple[Tensor, Tensor]:
    """First and last-but-one column and row whose pixel centres lie in the bounding box."""
    limits = torch.tensor([screen.width, screen.height], device=corners.device)
    reach = limits.to(corners.dtype)
    low = (corners[..., :2].amin(1) - 0.5).clamp_min(0).minimum(reach).ceil().long()
    high = (corners[..., :2].amax(1) + 0.5).clamp_min(0).minimum(reach).floor().long()
    return low, high.maximum(low)


def _planes(corners: Float[Tensor, "owners 3 3"]) -> Float[Tensor, "owners 9"]:
    """The first corner, how the second and the third weight grow with x and y, and 1 / depth of the three corners."""
    first, second, third = corners[..., :2].unbind(1)
    b, c = second - first, third - first
    rates = torch.stack([c[:, 1], -c[:, 0], -b[:, 1], b[:, 0]], dim=1) / _cross(b, c)[:, None]
    return torch.cat([first, rates, 1 / corners[..., 2]], dim=1)


def _parts(tested: Int[Tensor, " faces"]) -> Iterator[Int[Tensor, " part"]]:
    """Consecutive faces with about CANDIDATES pixels together."""
    numbers = torch.arange(len(tested), device=tested.device)
    batch = tested.cumsum(0) // CANDIDATES
    counts = torch.bincount(batch).tolist() if len(tested) else []
    return iter(part for part in numbers.split(counts) if len(part))


def _covered(
    planes: Float[Tensor, "faces 9"],
    low: Int[Tensor, "faces 2"],
    high: Int[Tensor, "faces 2"],
    part: Int[Tensor, " part"],
    owners: Int[Tensor, " faces"],
    screen: Screen,
) -> tuple[Int[Tensor, " hits"], Int[Tensor, " hits"], Float[Tensor, " hits"]]:
    """Face, pixel and 1 / depth of each pixel centre that a face covers."""
    width, height = (high - low)[part].unbind(1)
    count = width * height
    face = part.repeat_interleave(count)
    place = torch.arange(len(face), device=face.device) - (count.cumsum(0) - count).repeat_interleave(count)
    across = width.repeat_interleave(count)
    column, row = low[face, 0] + place % across, low[face, 1] + place // across
    x0, y0, bx, by, cx, cy, *depths = planes.index_select(0, face).unbind(1)
    x, y = column + 0.5 - x0, row + 0.5 - y0
    second, third = x * bx + y * by, x * cx + y * cy
    weights = torch.stack([1 - second - third, second, third])
    inside = weights.amin(0) >= -SLACK
    closeness = (weights * torch.stack(depths)).sum(0)
    view = owners[face] // len(screen.faces)
    pixel = (view * screen.height + row) * screen.width + column
    return face[inside], pixel[inside], closeness[inside]
