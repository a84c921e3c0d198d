"""The representation `tetrahedra`: a surface in a lattice of tetrahedra."""

from typing import Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gen3d import BadInput, Degenerate, RadianceField, Representation, Stage, Step, Triangles, Unsupported
from gen3d_mesh.handover import FAR, occupied_box, resampled, signed_distances
from gen3d_mesh.marching import Crossings, marching_tetrahedra, vertices_on

REACH = 0.5
"""Cells by which a node can move along each axis (ProlificDreamer has as much): neighbours cannot change places."""

BORDER = 1.0
"""Least distance at the border of the lattice, in cells: the surface is closed there."""


class Tetrahedra(Representation):
    """The zero level of signed distances s at the nodes of a lattice of tetrahedra, which move a little.

    s counts cells and is negative inside; a node is at its place plus tanh(offset) / 2 cells. Vertices lie where s,
    linear along each edge, is zero (Shen et al. 2021, Deep Marching Tetrahedra). A field of an earlier stage becomes a
    surface at a threshold, and the lattice a box around it. Colours are those of `texture`, a field that starts from
    the earlier one as its own kind does.

    Args:
        resolution: cubes along each side of the lattice, each of six tetrahedra.
        texture: a field whose features are the colours; null: the surface is grey.
        threshold: density, per unit of length, at which an earlier stage's field has its surface; null finds the one
            that cameras see.
        box: half the side of the lattice, centred at the origin, where no field was before; world units.
        radius: of the ball that is the start there.
        frozen: what keeps the shape or the colours that it has.

    Raises:
        BadInput: a number that cannot be, or nothing is left to train.
        Unsupported: the texture is no field of colours.
    """

    bounds: Tensor

    def __init__(
        self,
        resolution: int = 128,
        texture: Representation | None = None,
        threshold: float | None = None,
        box: float = 0.6,
        radius: float = 0.4,
        frozen: Literal["geometry", "texture"] | None = None,
    ) -> None:
        super().__init__()
        _check(resolution, threshold, box, radius)
        if texture is not None and not (isinstance(texture, RadianceField) and texture.space == "rgb"):
            cause = f"the texture is a {type(texture).__name__}, which is no field of colours"
            raise Unsupported(cause, remedy="choose one such as {type: voxel, channels: rgb}")
        if frozen == "geometry" and texture is None:
            raise BadInput("the geometry is frozen, and there is no texture", remedy="add a texture to train")
        self.resolution, self.threshold, self.radius, self.frozen = resolution, threshold, radius, frozen
        self.half_side, self.field = box, texture
        side = resolution + 1
        self.sdf = nn.Parameter(torch.empty(side, side, side))
        self.offsets = nn.Parameter(torch.zeros(side**3, 3))
        self.register_buffer("bounds", torch.empty(2, 3))
        self._found: tuple[Tensor, Crossings] | None = None

    def bind(self, stage: Stage) -> None:
        """Start: a ball; colours as their field starts."""
        if self.field is not None:
            self.field.name = f"{self.name}.texture"
            self.field.bind(stage)
            self.field.requires_grad_(self.frozen != "texture")
        with torch.no_grad():
            self.bounds.copy_(self.half_side * self.bounds.new_tensor([[-1.0] * 3, [1.0] * 3]))
            cell = 2 * self.half_side / self.resolution
            self.sdf.copy_(((self._nodes().norm(dim=-1) - self.radius) / cell).clamp(-FAR, FAR))
            self.offsets.zero_()
        for parameter in (self.sdf, self.offsets):
            parameter.requires_grad_(self.frozen != "geometry")

    def at(self, step: Step) -> None:
        """Pass the step on to the texture."""
        if self.field is not None:
            self.field.at(step)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`geometry.sdf`, `geometry.offsets`, and the texture's own as `texture.NAME`."""
        colors = self.field.param_groups() if self.field is not None else {}
        own = {"geometry.sdf": [self.sdf], "geometry.offsets": [self.offsets]}
        return own | {f"texture.{name}": group for name, group in colors.items()}

    def trained_state(self) -> dict[str, Tensor]:
        """The lattice, and all that a checkpoint holds of the texture."""
        colors = self.field.trained_state() if self.field is not None else {}
        return {**super().trained_state(), "bounds": self.bounds, **{f"texture.{k}": v for k, v in colors.items()}}

    def initialise_from(self, other: Representation) -> None:
        """Cut a radiance field at the threshold, or take over a surface; and its colours.

        A surface of the same resolution is taken over as it is, one of another resolution is sampled.

        Raises:
            Degenerate: the field has no surface.
            Unsupported: the kinds do not convert, or a frozen shape would change.
        """
        if isinstance(other, Tetrahedra):
            self._copy(other)
        elif isinstance(other, RadianceField):
            self._cut(other)
        else:
            super().initialise_from(other)
        colors = other.field if isinstance(other, Tetrahedra) else other
        if self.field is not None and colors is not None:
            self.field.initialise_from(colors)

    def triangles(self) -> Triangles:
        """The mesh, outward winding, closed. Raises Degenerate where the surface has vanished."""
        found = self._crossings()
        if not len(found.faces):
            raise Degenerate(
                f"the surface has vanished: the least signed distance is {float(self.sdf.detach().min()):.3g} cells",
                place=self.name,
                remedy="lower the learning rate of representation.geometry, or the weights of its regularizers",
            )
        places = self._indices(found.edges)
        border = ((places == 0) | (places == self.resolution)).any(-1)
        distances = self.sdf.flatten().index_select(0, found.edges.flatten()).view(-1, 2)
        distances = torch.where(border, distances.clamp_min(BORDER), distances)
        offsets = self.offsets.index_select(0, found.edges.flatten()).view(-1, 2, 3)
        vertices = vertices_on(distances, places + REACH * offsets.tanh())
        return Triangles(self.bounds[0] + vertices * (self.bounds[1] - self.bounds[0]) / self.resolution, found.faces)

    def texture(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points 3"]:
        """Colours of the texture, or mid-grey."""
        if self.field is None:
            return torch.full_like(points, 0.5)
        return cast("RadianceField", self.field).features(points)

    def _crossings(self) -> Crossings:
        """Which edges the surface crosses, looked up again only when a sign has changed."""
        positive = self.sdf.detach() > 0
        for axis in range(3):
            for end in (0, -1):
                positive.select(axis, end).fill_(value=True)
        if self._found is None or self._found[0].device != positive.device or not positive.equal(self._found[0]):
            self._found = (positive, marching_tetrahedra(positive))
        return self._found[1]

    @torch.no_grad()
    def _cut(self, field: RadianceField) -> None:
        bounds, threshold = occupied_box(field, self.resolution, self.threshold)
        self.bounds.copy_(bounds)
        self.sdf.copy_(signed_distances(field, self._nodes(), threshold))
        self.offsets.zero_()

    @torch.no_grad()
    def _copy(self, other: "Tetrahedra") -> None:
        self.bounds.copy_(other.bounds)
        if other.resolution == self.resolution:
            self.sdf.copy_(other.sdf)
            self.offsets.copy_(other.offsets)
            return
        if self.frozen == "geometry":
            cause = f"the geometry is frozen, and a lattice of {self.resolution} cannot hold that of {other.resolution}"
            remedy = f"set representation.resolution={other.resolution}, or let the geometry be trained"
            raise Unsupported(cause, place=self.name, remedy=remedy)
        moved = REACH * other.offsets.tanh().view(*other.sdf.shape, 3)
        self.sdf.copy_(resampled(other.sdf, moved, self.resolution + 1))
        self.offsets.zero_()

    def _nodes(self) -> Float[Tensor, "x y z 3"]:
        """Where the nodes are before they move, in the world."""
        side = self.resolution + 1
        numbers = torch.arange(side**3, device=self.sdf.device)
        places = self._indices(numbers).view(side, side, side, 3)
        return self.bounds[0] + places * (self.bounds[1] - self.bounds[0]) / self.resolution

    def _indices(self, nodes: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape 3"]:
        """The three indices of nodes, from flat ones."""
        side = self.resolution + 1
        return torch.stack([nodes // side**2, nodes // side % side, nodes % side], dim=-1).to(self.sdf.dtype)


def _check(resolution: int, threshold: float | None, box: float, radius: float) -> None:
    for name, value in (("box", box), ("radius", radius), ("threshold", 1.0 if threshold is None else threshold)):
        if value <= 0:
            raise BadInput(f"{name} is {value}", remedy="it is more than 0")
    if not 2 <= resolution <= 512:  # noqa: PLR2004 (memory grows with the third power)
        raise BadInput(f"resolution is {resolution}", remedy="it lies between 2 and 512")
    if radius >= box:
        raise BadInput(f"a ball of radius {radius} does not fit a box of {box}", remedy="lower radius or raise box")
