"""A NeRF on a multiresolution hash grid."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d import BadInput, RadianceField, Representation, Schedule, Stage, Step, Unsupported, rng
from gen3d.views import Space
from gen3d_nerf.backends import Backend
from gen3d_nerf.encoding import HashEncoding
from gen3d_nerf.fit import fit
from gen3d_nerf.perceptron import Perceptron

_ON_THE_FACE = 1e-5  # of the box's side: where a ray enters, rounding must not decide whether there is something
_STEEPEST = 15.0  # argument beyond which an exponential density and its gradient no longer grow
_CENTER = 1e-12  # square of a distance whose root still has a gradient
_MOST_LAYERS = 64  # of the encoding, and of a network
_DETAILS = 128  # default number of voxels along the box


class HashGrid(Representation):
    """Density and colours or latents from two small networks on a multiresolution hash encoding.

    Density is softplus or exp of (network + density_shift + blob), the blob being blob_density (1 - |x| / blob_radius).
    Colours pass through a sigmoid and do not depend on the direction; latents are as they come.
    Source: Müller et al. 2022 (Instant Neural Graphics Primitives); blob: Lin et al. 2023 (Magic3D), section 4.1.

    Args:
        channels: "rgb", "latent" (the four of Stable Diffusion), or a number of channels of another latent space.
        box: half the length of the box's side, which is centred at the origin; world units.
        voxel_size: edge of the finest detail that a renderer has to resolve, world units: it steps by half of it;
            null: a 128th of the box's side.
        levels: of the encoding, with two features each.
        active_levels: how many of them are used; a fraction fades the last one in, null: all.
        table_log2: binary logarithm of the most entries that a level has; the published 19 makes 6 million of them.
        coarsest: cells along the box on the first level.
        finest: the same on the last.
        interpolation: "smoothstep" makes the gradient of the density continuous, and with it analytic normals.
        width: of the hidden layers.
        layers: hidden layers of each network; 0: one linear layer, as in ProlificDreamer.
        activation: of the density; the exponential stops growing at e^15.
        density_shift: density before activation, everywhere.
        blob_density: the same in the centre, on top; 0: no blob.
        blob_radius: where the blob ends, world units.
        density_noise: standard deviation of what is added to the density before activation in training (ProlificDreamer
            has 1): fog does not pay.
        backend: what looks up in the table: "torch", "triton", "tinycudann", or "auto", which is torch on a CPU, and on
            CUDA the first of triton, tinycudann and torch that works.
    """

    _box: Tensor

    def __init__(
        self,
        channels: Literal["rgb", "latent"] | int = "rgb",
        box: float = 1.0,
        voxel_size: float | None = None,
        levels: int = 16,
        active_levels: Schedule | float | None = None,
        table_log2: int = 19,
        coarsest: int = 16,
        finest: int = 2048,
        interpolation: Literal["linear", "smoothstep"] = "linear",
        width: int = 64,
        layers: int = 1,
        activation: Literal["softplus", "exp"] = "softplus",
        density_shift: float = 0.0,
        blob_density: float = 10.0,
        blob_radius: float = 0.5,
        density_noise: Schedule | float = 0.0,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        self.space: Space = "rgb" if channels == "rgb" else "latent"
        self.channels = {"rgb": 3, "latent": 4}[channels] if isinstance(channels, str) else channels
        self.voxel_size = 2 * box / _DETAILS if voxel_size is None else voxel_size
        sizes = {"channels": self.channels, "box": box, "voxel_size": self.voxel_size, "blob_radius": blob_radius}
        for name, value in {**sizes, "levels": levels, "width": width}.items():
            if value <= 0:
                raise BadInput(f"{name} is {value}", remedy="it is more than 0")
        if not 2 <= coarsest <= finest:  # noqa: PLR2004 (a cell has two corners)
            raise BadInput(f"coarsest is {coarsest}, finest {finest}", remedy="2 <= coarsest <= finest")
        for name, value in (("levels", levels), ("layers", layers)):
            if value > _MOST_LAYERS:
                raise BadInput(f"{name} is {value}", remedy=f"it is at most {_MOST_LAYERS}")
        if not 3 <= table_log2 <= 24 or layers < 0:  # noqa: PLR2004 (8 entries to 16 million)
            cause = f"table_log2 is {table_log2}, layers {layers}"
            raise BadInput(cause, remedy="table_log2 is from 3 to 24, layers 0 or more")
        self.half_side, self.activation, self.backend = box, activation, backend
        self.register_buffer("_box", torch.tensor([[-box] * 3, [box] * 3]), persistent=False)
        self.density_shift, self.blob = density_shift, (blob_density, blob_radius)
        self.active_levels = Schedule.of(levels if active_levels is None else active_levels)
        self.density_noise = Schedule.of(density_noise)
        self.encoding = HashEncoding(levels, coarsest, finest, table_log2, interpolation == "smoothstep")
        hidden = [self.encoding.width, *[width] * layers]
        self.density_network = Perceptron([*hidden, 1])
        self.color_network = Perceptron([*hidden, self.channels])

    @property
    def box(self) -> Float[Tensor, "2 3"]:
        """Lower and upper corner; the field is empty outside."""
        return self._box

    @property
    def sample_bytes(self) -> int:
        """What a gradient at a point needs to be kept: features and hidden layers, for density and for colour."""
        hidden = sum(2 * len(weight) for weight in self.density_network.weights[:-1])
        return 150 + 2 * 4 * (self.encoding.width + hidden)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`encoding` (the table), `density` and `color` (the networks)."""
        networks = {"density": self.density_network, "color": self.color_network}
        return {"encoding": [self.encoding.table], **{name: list(n.parameters()) for name, n in networks.items()}}

    def bind(self, stage: Stage) -> None:
        """Start: the blob or nothing, in nearly one colour. Raises Unavailable where the backend is not here."""
        streams = {name: rng.generator(stage.seed, stage.name, f"hash_grid.{name}") for name in self.param_groups()}
        self.encoding.start(streams["encoding"], self.backend)
        if not self.encoding.choice.expected:
            stage.warn(f"the hash grid is slower than it could be: {self.encoding.choice.why}")
        self.density_network.start(streams["density"])
        self.color_network.start(streams["color"])
        self.encoding.active = self.active_levels(0, stage.steps)
        self._fit_stream = rng.generator(stage.seed, stage.name, "hash_grid.fit")
        self._noise: tuple[float, int] | None = None

    def at(self, step: Step) -> None:
        """Levels join as scheduled, and there is new noise."""
        self.encoding.active = self.active_levels(step.index, step.total)
        strength, seed = self.density_noise(step.index, step.total), step.rng("hash_grid.noise").initial_seed()
        self._noise = (strength, seed) if strength else None

    def density(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, " points"]:
        """Extinction per unit of length; 0 outside the box."""
        inside = points.detach().abs().amax(1) <= self.half_side * (1 + 2 * _ON_THE_FACE)
        raw = self.raw_density(points)
        if self._noise is not None and torch.is_grad_enabled():
            strength, seed = self._noise  # the same for the same points, since they may be looked at twice
            stream = torch.Generator(raw.device).manual_seed(seed)
            raw = raw + strength * torch.randn(raw.shape, generator=stream, device=raw.device)
        return inside * (nn.functional.softplus(raw) if self.activation == "softplus" else _exp(raw))

    def raw_density(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, " points"]:
        """Before activation."""
        raw: Tensor = self.density_network(self._encoded(points))[:, 0] + self.density_shift
        height, radius = self.blob
        if height:
            raw = raw + height * (1 - points.square().sum(1).clamp_min(_CENTER).sqrt() / radius)
        return raw

    def inverse(self, density: Float[Tensor, " points"]) -> Float[Tensor, " points"]:
        """What becomes this density, which is more than 0."""
        return density + torch.log(-torch.expm1(-density)) if self.activation == "softplus" else density.log()

    def features(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points channels"]:
        """Colours (sRGB in [0, 1]) or latents."""
        values: Tensor = self.color_network(self._encoded(points))
        return values.sigmoid() if self.space == "rgb" else values

    @torch.no_grad()
    def initialise_from(self, other: Representation) -> None:
        """Take over the table and the networks of an equal hash grid; be fitted to any other radiance field.

        Colours only where the other has features of the same kind.
        """
        if not isinstance(other, RadianceField):
            raise Unsupported(f"a hash_grid cannot start from a {type(other).__name__}, which has no density")
        if not isinstance(other, HashGrid) or not self._fits(other):
            fit(self, other, self._fit_stream)
            return
        names = ["encoding", "density"]
        if (other.space, other.channels) == (self.space, self.channels):
            names.append("color")
        ours, theirs = self.param_groups(), other.param_groups()
        for name in names:
            for one, source in zip(ours[name], theirs[name], strict=True):
                one.copy_(source)

    def _fits(self, other: "HashGrid") -> bool:
        """Whether the other's table and density network mean the same here."""
        same = [
            (f.encoding.levels, f.encoding.smooth, f.half_side, f.activation, f.density_shift, *f.blob)
            for f in (self, other)
        ]
        shapes = [[weight.shape for weight in field.density_network.weights] for field in (self, other)]
        return same[0] == same[1] and shapes[0] == shapes[1]

    def _encoded(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points features"]:
        places = torch.add(points.new_full((), 0.5), points, alpha=0.5 / self.half_side)
        features: Tensor = self.encoding(places.clamp(0, 1))
        return features


def _exp(raw: Float[Tensor, " points"]) -> Float[Tensor, " points"]:
    """exp, and from e^15 on a constant that keeps its gradient, so that it can fall again."""
    return torch.exp(raw - (raw.detach() - _STEEPEST).clamp_min(0))
