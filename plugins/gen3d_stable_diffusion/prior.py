"""The prior `stable_diffusion`: a frozen network that knows what pictures of a text look like."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.diffusion import NoiseSchedule
from gen3d.errors import BadInput, Unsupported
from gen3d.graphs import Graphs
from gen3d.guidance import Adapter, Branches, Condition, Latents, Prior
from gen3d.lora import ADAPTER_BRANCHES, LoraAdapter, applied, trained
from gen3d.memory import Memory, Saving, Scene
from gen3d.part import Stage, Step, frozen
from gen3d.registry import close_match
from gen3d.weights import memory
from gen3d.weights.family import Family
from gen3d.weights.replayed import ReplayedCodec
from gen3d_stable_diffusion.family import FAMILY
from gen3d_stable_diffusion.networks import Networks, check, load, view_features
from gen3d_stable_diffusion.places import find
from gen3d_stable_diffusion.prompts import PERP_NEG, Law, ViewPrompts
from gen3d_stable_diffusion.style import Style
from gen3d_stable_diffusion.texts import Texts
from gen3d_stable_diffusion.trainee import Trainee
from gen3d_stable_diffusion.wording import SUFFIX

_JOINT = "joint"
"""The rows for prompt and picture together, which go into the branch "conditional"."""

_TOLD_THE_VIEW = frozenset({"conditional", _JOINT, "adapter"})
"""The branches of a network that sees cameras which are told where the view is."""


class StableDiffusion(Prior):
    """Stable Diffusion (Rombach et al. 2022): conditions on the prompt, worded for each view.

    An adapter's branches read the prompt as it is: they are told the camera (ProlificDreamer, section 3.3).

    Args:
        weights: a folder in diffusers' layout, `mini`, or a name such as sd-2.1-base of weights fetched before.
        view_prompts: how the prompt says where the view is: `bins` (front, side, back or overhead, as threestudio and
            ProlificDreamer), `interpolated` (the same, their embeddings mixed by azimuth, as stable-dreamfusion),
            `perp_neg` (interpolated, with the other views as negatives), or `none`.
        view_text: the prompt's wording.
        front_deg: with `bins`, how near to azimuth 0 a front view is.
        back_deg: with `bins`, how near to the opposite a back view is.
        overhead_deg: above which elevation a view is overhead.
        unconditional: the text of that branch: the negative prompt, which is how guidance usually moves away from it,
            or `empty`; then there is a negative branch too, for objectives that tell the two apart.
        style: how the picture `inputs.style` steers what the prompt makes; null: it does not.
        graphs: whether the networks' calls are replayed as CUDA graphs where there is CUDA: fast, and costs memory.
        recompute: whether what the encoder's gradient needs is computed a second time, rather than kept.
    """

    family: ClassVar[Family] = FAMILY
    """What `gen3d weights` knows of its weights."""

    trainee: ClassVar[type[Trainee]] = Trainee
    """What `gen3d train` trains."""

    savings: ClassVar[tuple[Saving, ...]] = memory.SAVINGS

    sizes: ClassVar[Mapping[str, memory.Networks]] = {
        **dict.fromkeys(("sd-1.4", "sd-1.5", "sd-2.1-base"), memory.Networks(1.78)),
        "sd-2.1": memory.Networks(1.78, 768, 96),
        "sdxl-base": memory.Networks(4.94, 1024, 128),
        "mini": memory.Networks(0.05, 64, 16, codec=False),
    }
    """Of weights; those of a folder count as what their kind has by default."""

    remedies: ClassVar[Mapping[str, str]] = {
        "negative": "set unconditional: empty in the prior; by default that branch is the negative prompt's"
    }

    def __init__(
        self,
        weights: str = "sd-2.1-base",
        view_prompts: Law = "bins",
        view_text: str = SUFFIX,
        front_deg: float = 45.0,
        back_deg: float = 45.0,
        overhead_deg: float = 60.0,
        unconditional: Literal["negative_prompt", "empty"] = "negative_prompt",
        style: Style | None = None,
        graphs: bool = True,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.weights, self.null = weights, unconditional
        self.graphs, self.recompute = graphs, recompute
        self.views = ViewPrompts(view_prompts, view_text, front_deg, back_deg, overhead_deg)
        self.branches = frozenset({"conditional", "unconditional"}) | ADAPTER_BRANCHES
        if unconditional == "empty":
            self.branches |= {"negative"}
        if view_prompts == "perp_neg":
            self.branches |= frozenset(PERP_NEG)
        self.schedule = NoiseSchedule.scaled_linear()
        self.prompt, self.negative_prompt = "", ""
        self.style = style if style is not None and style.steers else None
        self._loaded: list[tuple[Texts, Networks]] = []  # in a list, so that no checkpoint ever holds them

    @property
    def networks(self) -> Networks:
        """The frozen networks. Raises BadInput before `bind` or `load`."""
        return self._parts()[1]

    def _parts(self) -> tuple[Texts, Networks]:
        if not self._loaded:
            remedy = "call bind(stage) or load(device) first"
            raise BadInput("the prior is not loaded", place="stable_diffusion", remedy=remedy)
        return self._loaded[0]

    def bind(self, stage: Stage) -> None:
        """Embed the run's prompts, then load the networks; each once a run.

        Raises BadInput where there is no prompt, or one that is longer than the text encoder reads, or where the
        picture that is to steer it cannot be read.
        """
        if stage.inputs.prompt is None:
            remedy = 'add inputs.prompt="a red chair"'
            raise BadInput("the stable_diffusion prior needs a prompt", place="inputs.prompt", remedy=remedy)
        self.prompt, self.negative_prompt = stage.inputs.prompt, stage.inputs.negative_prompt
        folder, key = find(self.weights), (self.weights, str(stage.device))
        check(folder)
        texts = stage.share(("stable_diffusion texts", *key), lambda: Texts(folder, stage.device))
        wordings = self.views.wordings(self.prompt)
        for place, asked in (("inputs.prompt", wordings), ("inputs.negative_prompt", [self.negative_prompt])):
            if not all(text in texts for text in asked):
                self._fits(texts, place, asked)
                self._knows(texts, place, asked[-1], stage)
        if "negative" in self.branches and not self.negative_prompt:
            stage.warn("inputs.negative_prompt is empty, so the negative branch says what the unconditional one says")
        texts(["", self.negative_prompt, *wordings])
        networks = stage.share(("stable_diffusion", *key), lambda: _load(folder, stage.device))
        self.use(texts, networks, Graphs.of(stage, wanted=self.graphs))
        if self.style is not None:
            self.style.bind(stage)
            self.style.use(texts, self.networks)
            self._fits(self.style.texts, "inputs.prompt", self.views.wordings(self.style.worded(self.prompt)))
            self._knows(self.style.texts, "style.wording", self.style.worded(""), stage)

    def load(self, device: torch.device | str = "cpu") -> None:
        """Load the weights without a run: for prompts given as `sources`, which no picture steers."""
        self.style = None
        folder = find(self.weights)
        check(folder)
        self.use(Texts(folder, torch.device(device)), _load(folder, torch.device(device)))

    def use(self, texts: Texts, networks: Networks, graphs: Graphs | None = None) -> None:
        """Predict with these."""
        self._loaded = [(texts, networks)]
        self._graphs = Graphs(wanted=self.graphs) if graphs is None else graphs
        self._codec = ReplayedCodec(networks.codec, networks.picture_size, self._graphs, recompute=self.recompute)
        self.schedule = networks.diffusion.schedule().to(networks.unet.device)

    def at(self, step: Step) -> None:
        """Pass the step on to the style, which learns its words before the first."""
        if self.style is not None:
            self.style.at(step)

    def trained_state(self) -> dict[str, Tensor]:
        """The style's words, as "style.words"."""
        state = {} if self.style is None else self.style.trained_state()
        return {f"style.{name}": tensor for name, tensor in state.items()}

    def load_trained_state(self, state: dict[str, Tensor]) -> None:
        """Give the style its own."""
        if self.style is not None:
            self.style.load_trained_state({name.removeprefix("style."): tensor for name, tensor in state.items()})

    def _fits(self, texts: Texts, place: str, wordings: list[str]) -> None:
        """Raises BadInput with the words that the text encoder would not read."""
        over = max(map(texts.left_out, wordings), key=len)
        if over:
            cause = f"is longer than the {texts.length} tokens that {self.weights} reads: {over!r} is left over"
            raise BadInput(cause, place=place, remedy="shorten it; the words that say where the view is count too")

    def _knows(self, texts: Texts, place: str, text: str, stage: Stage) -> None:
        """Warn of the words that are not in the vocabulary."""
        for word in texts.unknown(text):
            close = close_match(word, texts.vocabulary(), 0.8)
            hint = f"; did you mean {close!r}?" if close else ""
            stage.warn(f"{place}: {self.weights} does not know the word {word!r}, and does not heed it{hint}")

    @torch.no_grad()
    def condition(self, cameras: Cameras, sources: Sequence[object] | None = None) -> Condition:
        """The text of every branch for each view, the cameras, and the weights of Perp-Neg's negatives.

        Args:
            cameras: the views.
            sources: prompts to use in place of the run's: one for each view or one for all.
        """
        prompts = [self.prompt] if sources is None else [str(source) for source in sources]
        prompts = prompts * len(cameras) if len(prompts) == 1 else prompts
        embed, _ = self._parts()
        if sources is not None:
            self._fits(embed, "sources", [text for prompt in prompts for text in self.views.wordings(prompt)])
        cameras = cameras.to(embed.device)
        empty = "" if self.null == "empty" else self.negative_prompt
        fixed = {"adapter": prompts, "unconditional": [empty] * len(prompts)}
        if "negative" in self.branches:
            fixed["negative"] = [self.negative_prompt] * len(prompts)
        tensors = {name: embed(texts) for name, texts in fixed.items()}
        tensors |= {"camera": cameras.c2w.flatten(1), "view": view_features(cameras)}
        tensors["conditional"] = self.views.conditional(embed, prompts, cameras)
        tensors |= self.views.negatives(embed, prompts, cameras)
        if self.style is not None and self.style.now:
            styled = [self.style.worded(prompt) for prompt in prompts]
            tensors[_JOINT] = self.views.conditional(self.style.texts, styled, cameras)
            tensors["share"] = torch.full((len(prompts),), self.style.now, device=embed.device)
        return Condition(tensors)

    def perp_neg_weights(self, condition: Condition) -> Float[Tensor, "batch negatives"] | None:
        """Weights of the two negative views of each row; None without Perp-Neg."""
        return condition.tensors.get("perp_neg")

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
        """Predicted noise of each branch, all in one batch, in which the rows of a branch stand together."""
        if unknown := set(branches) - self.branches:
            known = ", ".join(sorted(self.branches))
            raise Unsupported(f"the stable_diffusion prior has no branch {unknown.pop()!r}", remedy=f"it has {known}")
        rows = condition.tensors
        asked = [*branches, _JOINT] if _JOINT in rows and "conditional" in branches else [*branches]
        many, times = noisy.repeat(len(asked), 1, 1, 1), t.repeat(len(asked))
        text = torch.cat([rows["adapter" if name == "adapter_null" else name] for name in asked])
        nowhere = torch.zeros_like(rows["view"])
        view = torch.cat([rows["view"] if name in _TOLD_THE_VIEW else nowhere for name in asked])

        def call(camera: Tensor, *inputs: Tensor) -> Tensor:
            with applied(adapter, asked, Condition({"camera": camera})):
                return self.networks(*inputs).float()

        output = self._graphs((adapter, *asked), call, (rows["camera"], many, times, text, view), trained(adapter))
        epsilon = self.schedule.to_epsilon(output, many, times, self.networks.diffusion.prediction)
        told = dict(zip(asked, epsilon.chunk(len(asked)), strict=True))
        if _JOINT in told:
            share = rows["share"][:, None, None, None]
            told["conditional"] = torch.lerp(told["conditional"], told.pop(_JOINT), share)
        return told

    def memory(self, scene: Scene, rows: int, *, learns: bool) -> Memory:
        """What it takes of a GPU, with so many rows a view in a call, and with an adapter that is trained or none."""
        networks = self.sizes.get(self.weights, memory.Networks(1.78))
        options = {"graphs": self.graphs, "recompute": self.recompute}
        return memory.memory(networks, self.weights, scene, rows, learns=learns, **options)

    def adapter(self, rank: int, rng: torch.Generator) -> Adapter:
        """Low-rank changes of the UNet's attention, and an embedding of the camera."""
        return LoraAdapter(self.networks.unet, rank, rng)


def _load(folder: Path, device: torch.device) -> Networks:
    networks = load(folder)
    frozen(networks)
    networks.to(device)
    if device.type == "cuda":
        networks.to(torch.bfloat16)
        for network in networks.codec.children():
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    networks.unet.to(memory_format=torch.channels_last)
    return networks
