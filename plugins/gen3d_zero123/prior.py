"""The prior `zero123`: a frozen network that knows how an object looks from elsewhere, given one picture of it."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.cameras import Cameras, concatenate
from gen3d.diffusion import NoiseSchedule
from gen3d.errors import BadInput, Unsupported
from gen3d.graphs import Graphs
from gen3d.guidance import Adapter, Branches, Condition, Latents, Prior
from gen3d.lora import ADAPTER_BRANCHES, LoraAdapter, applied, trained
from gen3d.memory import Memory, Saving, Scene
from gen3d.part import Stage, frozen
from gen3d.weights import memory
from gen3d.weights.codecs import signed
from gen3d.weights.family import Family
from gen3d.weights.replayed import ReplayedCodec
from gen3d_zero123.family import FAMILY
from gen3d_zero123.loader import load
from gen3d_zero123.networks import Networks, Null
from gen3d_zero123.places import find
from gen3d_zero123.pose import PoseDialect, relative_pose
from gen3d_zero123.trainee import Trainee

Source = tuple[Float[Tensor, "height width 3"], Cameras]
"""A picture (sRGB in [0, 1], over white) and the camera that took it."""


class Zero123(Prior):
    """Zero-1-to-3 (Liu et al. 2023): conditions on the input picture and on where each view is, seen from it.

    Args:
        weights: a folder in diffusers' layout, `mini`, or a name such as zero123-xl of weights fetched before.
        pose: components of the pose vector, where the folder does not say: radius (published), polar
            (stable-zero123), radius_and_polar (mini).
        unconditional: the tokens of that branch: zeros after the projection, as published, or the null that the
            published training drops to.
        graphs: whether the networks' calls are replayed as CUDA graphs where there is CUDA: fast, and costs memory.
        recompute: whether what the encoder's gradient needs is computed a second time, rather than kept.
    """

    branches = frozenset({"conditional", "unconditional"}) | ADAPTER_BRANCHES

    family: ClassVar[Family] = FAMILY
    """What `gen3d weights` knows of its weights."""

    trainee: ClassVar[type[Trainee]] = Trainee
    """What `gen3d train` trains."""

    savings: ClassVar[tuple[Saving, ...]] = memory.SAVINGS

    sizes: ClassVar[Mapping[str, memory.Networks]] = {"mini": memory.Networks(0.05, 64, 16, codec=False)}
    """Of weights; all others are as large as the published ones, which have CLIP's picture tower too."""

    def __init__(
        self,
        weights: str = "zero123-xl",
        pose: PoseDialect | None = None,
        unconditional: Null = "zeros",
        graphs: bool = True,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.weights, self.pose, self.null = weights, pose, unconditional
        self.graphs, self.recompute = graphs, recompute
        self.schedule = NoiseSchedule.scaled_linear()
        self._networks: list[Networks] = []  # in a list, so that no checkpoint ever holds them
        self._seen: list[_Seen] = []

    @property
    def networks(self) -> Networks:
        """The frozen networks. Raises BadInput before `bind` or `load`."""
        if not self._networks:
            raise BadInput("the prior is not loaded", place="zero123", remedy="call bind(stage) or load(device) first")
        return self._networks[0]

    def bind(self, stage: Stage) -> None:
        """Load the weights, once a run, and look at the input picture."""
        key = ("zero123", self.weights, self.pose, str(stage.device))
        networks = stage.share(key, lambda: _load(self.weights, self.pose, stage.device))
        self.use(networks, Graphs.of(stage, wanted=self.graphs))
        self._seen = []
        if stage.reference is not None:
            image = stage.inputs.picture.resized(self.networks.picture_size).image
            self._seen = [self._look((image.to(stage.device), stage.reference))]

    def load(self, device: torch.device | str = "cpu") -> None:
        """Load the weights without a run: for pictures given as `sources`."""
        self.use(_load(self.weights, self.pose, torch.device(device)))

    def use(self, networks: Networks, graphs: Graphs | None = None) -> None:
        """Predict with these networks."""
        self._networks = [networks]
        self._graphs = Graphs(wanted=self.graphs) if graphs is None else graphs
        self._codec = ReplayedCodec(networks.codec, networks.picture_size, self._graphs, recompute=self.recompute)
        self.schedule = networks.settings.diffusion.schedule().to(networks.projection.weight.device)

    @torch.no_grad()
    def _look(self, source: Source) -> "_Seen":
        """What of a picture is computed once, whatever the views."""
        networks = self.networks
        picture = signed(source[0][None], networks.picture_size)
        camera = source[1].to(picture.device)
        return _Seen(picture, networks.encoder(picture), networks.codec.encode(picture), camera)

    @torch.no_grad()
    def condition(self, cameras: Cameras, sources: Sequence[object] | None = None) -> Condition:
        """The tokens with each view's pose, projected; the picture's latent, with its epipolar features; the pose.

        And each view's `camera`, which an adapter is told.

        Args:
            cameras: the views to make.
            sources: pictures to use in place of the run's: `Source` pairs, one for each view or one for all.
        """
        seen = self._seen if sources is None else [self._look(source) for source in sources]  # type: ignore[arg-type]
        if not seen:
            remedy = "add inputs.image=photo.png"
            raise BadInput("the zero123 prior needs a picture of the object", place="inputs.image", remedy=remedy)
        rows, networks = [*seen] * (len(cameras) if len(seen) == 1 else 1), self.networks
        pictures, tokens, latent = (torch.cat(parts) for parts in list(zip(*rows, strict=True))[:3])
        taken, cameras = concatenate([row.camera for row in rows]), cameras.to(tokens.device)
        pose = relative_pose(cameras, taken, networks.settings.pose)
        context = networks.context(tokens, pose)
        latent = networks.condition_latent(latent, pictures, taken, cameras)
        null = torch.zeros_like(context)
        if self.null == "trained":
            null = networks.context(torch.zeros_like(tokens), pose)
        rows_of = {"context": context, "latent": latent, "pose": pose, "null": null}
        return Condition({**rows_of, "camera": cameras.c2w.flatten(1)})

    def encode(self, images: Float[Tensor, "batch rows columns 3"]) -> Latents:
        """Scaled latents of pictures of any size; a learned autoencoder's posterior mode."""
        return self._codec.encode(images)

    def decode(self, latents: Latents) -> Float[Tensor, "batch rows columns 3"]:
        """Pictures of scaled latents."""
        return self._codec.decode(latents)

    def predict(
        self,
        noisy: Latents,
        t: Int[Tensor, " batch"],
        condition: Condition,
        branches: Sequence[str],
        adapter: Adapter | None = None,
    ) -> Branches:
        """Predicted noise of each branch, unconditional first in one batch, as the published sampler has it."""
        names = sorted(set(branches), reverse=True)  # "unconditional" before "conditional", the adapter's last
        if unknown := set(names) - self.branches:
            raise Unsupported(
                f"the zero123 prior has no branch {unknown.pop()!r}", remedy="it sees pictures, not prompts"
            )
        rows = [self._branch(name, condition) for name in names]
        latent, context, pose = (torch.cat(parts) for parts in zip(*rows, strict=True))
        many, times = noisy.repeat(len(names), 1, 1, 1), t.repeat(len(names))

        def call(camera: Tensor, *rows: Tensor) -> Tensor:
            with applied(adapter, names, Condition({"camera": camera})):
                return self.networks(*rows).float()

        given = (condition.tensors["camera"], many, times, latent, context, pose)
        output = self._graphs((adapter, *names), call, given, trained(adapter))
        epsilon = self.schedule.to_epsilon(output, many, times, self.networks.settings.diffusion.prediction)
        return dict(zip(names, epsilon.chunk(len(names)), strict=True))

    def memory(self, scene: Scene, rows: int, *, learns: bool) -> Memory:
        """What it takes of a GPU, with so many rows a view in a call, and with an adapter that is trained or none."""
        networks = self.sizes.get(self.weights, memory.Networks(2.33, 256, 32))
        options = {"graphs": self.graphs, "recompute": self.recompute}
        return memory.memory(networks, self.weights, scene, rows, learns=learns, **options)

    def adapter(self, rank: int, rng: torch.Generator) -> Adapter:
        """Low-rank changes to the UNet's attention; its branches are conditional, and told each view's camera."""
        return LoraAdapter(self.networks.unet, rank, rng)

    def _branch(self, name: str, condition: Condition) -> tuple[Tensor, Tensor, Tensor]:
        """Condition latent, context and pose of a branch; both drop together (section 3.3)."""
        rows = condition.tensors
        if name == "unconditional":
            return torch.zeros_like(rows["latent"]), rows["null"], torch.zeros_like(rows["pose"])
        return rows["latent"], rows["context"], rows["pose"]


class _Seen(NamedTuple):
    """A picture in [-1, 1], its tokens, its unscaled latent, and the camera that took it: a row of each."""

    picture: Tensor
    tokens: Tensor
    latent: Tensor
    camera: Cameras


def _load(weights: str, pose: PoseDialect | None, device: torch.device) -> Networks:
    networks = load(find(weights), weights, pose)
    frozen(networks)
    networks.to(device)
    if device.type == "cuda":
        for network in (networks.unet, networks.encoder, networks.codec):
            network.to(torch.bfloat16)
        for network in networks.codec.children():
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    networks.unet.to(memory_format=torch.channels_last)
    return networks
