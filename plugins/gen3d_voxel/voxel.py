"""The dense voxel radiance field of Score Jacobian Chaining."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d import BadInput, RadianceField, Representation, Stage, Unsupported, rng
from gen3d.views import Space
from gen3d_voxel.trilinear import corners, lookup

_CHUNK = 1 << 18  # points at a time where a whole grid is sampled
_ON_THE_FACE = 1e-3  # voxels: where a ray enters, rounding must not decide whether there is something
_THINNEST = 1e-6  # density that counts as nothing when one field starts from another
_BLACKEST = 1e-4  # and the same for colour: what has no finite inverse


class Voxel(Representation):
    """Density softplus(exp(scale) d + shift) and colour or latents c, with d and c trilinear in a cubic grid.

    Values sit in voxel centres and fade to 0 within half a voxel of the faces, where density is therefore
    softplus(shift). Colours pass through a sigmoid after interpolation; latents are as they come.
    Source: Wang et al. 2022 (Score Jacobian Chaining), class V_SD of the published code.

    Args:
        resolution: voxels along each side.
        channels: "rgb", "latent" (the four of Stable Diffusion), or a number of channels of another latent space.
        box: half the length of the box's side, which is centred at the origin; world units.
        density_shift: density before activation where the grid is 0.
        blob_density: added to d in the centre at the start, falling linearly to 0 at `blob_radius` and below 0
            beyond (Lin et al. 2023, Magic3D, section 4.1); 0: the grid starts at 0.
        blob_radius: where the blob ends, world units.
    """

    scale: nn.Parameter
    _box: Tensor

    def __init__(
        self,
        resolution: int = 100,
        channels: Literal["rgb", "latent"] | int = "latent",
        box: float = 1.0,
        density_shift: float = -1.0,
        blob_density: float = 0.0,
        blob_radius: float = 0.5,
    ) -> None:
        super().__init__()
        self.space: Space = "rgb" if channels == "rgb" else "latent"
        self.channels = {"rgb": 3, "latent": 4}[channels] if isinstance(channels, str) else channels
        for name, value in (("resolution", resolution), ("channels", self.channels), ("box", box)):
            if value <= 0:
                raise BadInput(f"{name} is {value}", remedy="it is more than 0")
        self.resolution, self.half_side, self.density_shift = resolution, box, density_shift
        self.blob_density, self.blob_radius = blob_density, blob_radius
        self.voxel_size = 2 * box / resolution
        self.sample_bytes = 200 + 8 * self.channels  # what a gradient at a point needs to be kept
        side = resolution + 2  # a halo of zeros, which never gets a gradient, stands for the outside
        self.density_grid = nn.Parameter(torch.zeros(1, side, side, side))
        self.color_grid = nn.Parameter(torch.zeros(self.channels, side, side, side))
        self.scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("_box", torch.tensor([[-box] * 3, [box] * 3]), persistent=False)

    @property
    def box(self) -> Float[Tensor, "2 3"]:
        """Lower and upper corner; the field is empty outside."""
        return self._box

    @property
    def raw_density(self) -> Float[Tensor, "x y z"]:
        """The grid d in the voxel centres: a view without gradient, to read or to fill."""
        return _inside(self.density_grid)[0]

    @property
    def raw_color(self) -> Float[Tensor, "channels x y z"]:
        """The grid c in the voxel centres: a view without gradient, to read or to fill."""
        return _inside(self.color_grid)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`density` (the grid d), `scale` (of all d) and `color` (the grid c)."""
        return {"density": [self.density_grid], "scale": [self.scale], "color": [self.color_grid]}

    @torch.no_grad()
    def bind(self, stage: Stage) -> None:
        """Start: the blob or nothing; colours mid-grey, latents from N(0, 1)."""
        self.scale.zero_()
        distance = self._centers().norm(dim=0).view_as(self.raw_density)
        self.raw_density.copy_(self.blob_density * (1 - distance / self.blob_radius))
        self.color_grid.zero_()
        if self.space == "latent":
            noise = torch.randn(self.raw_color.shape, generator=rng.generator(stage.seed, stage.name, "voxel.color"))
            self.raw_color.copy_(noise)

    def density(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, " points"]:
        """Extinction per unit of length; 0 outside the box."""
        places = self._places(points)
        middle = (self.resolution + 1) / 2
        inside = (places - middle).abs_().amax(0) <= self.resolution / 2 + _ON_THE_FACE
        return nn.functional.softplus(self._logits(places)) * inside

    def features(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points channels"]:
        """Colours (sRGB in [0, 1]) or latents."""
        values = self._values(points)
        return values.sigmoid() if self.space == "rgb" else values

    @torch.no_grad()
    def initialise_from(self, other: Representation) -> None:
        """Sample any radiance field in the voxel centres; colours only where it has features of the same kind."""
        if not isinstance(other, RadianceField):
            raise Unsupported(f"a voxel field cannot start from a {type(other).__name__}, which has no density")
        if isinstance(other, Voxel):
            self.scale.copy_(other.scale)
        places = torch.split(self._centers().T, _CHUNK)
        logits = torch.cat([_logits_of(other, part) for part in places])
        self.raw_density.copy_(((logits - self.density_shift) / self.scale.exp()).view_as(self.raw_density))
        if (other.space, other.channels) == (self.space, self.channels):
            values = torch.cat([_values_of(other, part) for part in places])
            self.raw_color.copy_(values.T.reshape(self.raw_color.shape))

    def _logits(self, places: Float[Tensor, "3 points"]) -> Float[Tensor, " points"]:
        """Density before softplus."""
        raw = lookup(self.density_grid, corners(places, self.resolution))[0]
        return torch.addcmul(self.scale.new_full((), self.density_shift), self.scale.exp(), raw)

    def _values(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points channels"]:
        """Features before activation."""
        return lookup(self.color_grid, corners(self._places(points), self.resolution)).T

    def _places(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "3 points"]:
        """Points counted in voxels from the centre of the halo's first voxel."""
        start = points.new_full((), self.half_side / self.voxel_size + 0.5)
        return torch.add(start, points.T, alpha=1 / self.voxel_size)

    def _centers(self) -> Float[Tensor, "3 voxels"]:
        axis = (torch.arange(self.resolution, device=self.scale.device) + 0.5) * self.voxel_size - self.half_side
        return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).flatten(1)


def _inside(grid: Tensor) -> Tensor:
    return grid.detach()[:, 1:-1, 1:-1, 1:-1]


def _logits_of(field: RadianceField, points: Float[Tensor, "points 3"]) -> Float[Tensor, " points"]:
    """Density before softplus; of a voxel field without the loss of inverting it."""
    if isinstance(field, Voxel):
        return field._logits(field._places(points))  # noqa: SLF001 (its own class)
    density = field.density(points).clamp_min(_THINNEST)
    return density + torch.log(-torch.expm1(-density))


def _values_of(field: RadianceField, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points channels"]:
    """Features before activation."""
    if isinstance(field, Voxel):
        return field._values(points)  # noqa: SLF001 (its own class)
    values = field.features(points)
    return values.logit(eps=_BLACKEST) if field.space == "rgb" else values
