"""The prior `stable_diffusion`: a frozen network that knows what pictures of a text look like."""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.diffusion import NoiseSchedule
from gen3d.errors import BadInput, Unsupported
from gen3d.guidance import Adapter, Branches, Condition, Latents, Prior
from gen3d.lora import ADAPTER_BRANCHES, LoraAdapter, applied
from gen3d.part import Stage, frozen
from gen3d.registry import close_match
from gen3d.weights.codecs import to_latents, to_pictures
from gen3d_stable_diffusion.networks import Networks, load, view_features
from gen3d_stable_diffusion.places import find
from gen3d_stable_diffusion.text import Texts
from gen3d_stable_diffusion.trainee import Trainee
from gen3d_stable_diffusion.views import DIRECTIONS, binned, interpolated, perp_neg_directions
from gen3d_stable_diffusion.wording import SUFFIX, worded

_NEGATIVES = ("perp_neg_0", "perp_neg_1")
_TOLD_THE_VIEW = frozenset({"conditional", "adapter"})
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
            or `empty`, for objectives with a negative branch of their own.
    """

    trainee: ClassVar[type[Trainee]] = Trainee
    """What `gen3d train` trains."""

    def __init__(
        self,
        weights: str = "sd-2.1-base",
        view_prompts: Literal["none", "bins", "interpolated", "perp_neg"] = "bins",
        view_text: str = SUFFIX,
        front_deg: float = 45.0,
        back_deg: float = 45.0,
        overhead_deg: float = 60.0,
        unconditional: Literal["negative_prompt", "empty"] = "negative_prompt",
    ) -> None:
        super().__init__()
        if "{prompt}" not in view_text or "{view}" not in view_text:
            raise BadInput(
                f"view_text is {view_text!r}", remedy=f"it holds {{prompt}} and {{view}}, such as {SUFFIX!r}"
            )
        self.weights, self.view_prompts, self.view_text, self.null = weights, view_prompts, view_text, unconditional
        self.front, self.back, self.overhead = (math.radians(angle) for angle in (front_deg, back_deg, overhead_deg))
        self.branches = frozenset({"conditional", "unconditional", "negative"}) | ADAPTER_BRANCHES
        if view_prompts == "perp_neg":
            self.branches |= frozenset(_NEGATIVES)
        self.schedule = NoiseSchedule.scaled_linear()
        self.prompt, self.negative_prompt = "", ""
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

        Raises BadInput where there is no prompt, or one that is longer than the text encoder reads.
        """
        if stage.inputs.prompt is None:
            remedy = 'add inputs.prompt="a red chair"'
            raise BadInput("the stable_diffusion prior needs a prompt", place="inputs.prompt", remedy=remedy)
        self.prompt, self.negative_prompt = stage.inputs.prompt, stage.inputs.negative_prompt
        key = (self.weights, str(stage.device))
        texts = stage.share(("stable_diffusion texts", *key), lambda: Texts(find(self.weights), stage.device))
        self._check(texts, "inputs.prompt", self._worded(self.prompt), stage)
        self._check(texts, "inputs.negative_prompt", [self.negative_prompt], stage)
        texts(["", self.negative_prompt, *self._worded(self.prompt)])
        self.use(texts, stage.share(("stable_diffusion", *key), lambda: _load(self.weights, stage.device)))

    def load(self, device: torch.device | str = "cpu") -> None:
        """Load the weights without a run: for prompts given as `sources`."""
        self.use(Texts(find(self.weights), torch.device(device)), _load(self.weights, torch.device(device)))

    def use(self, texts: Texts, networks: Networks) -> None:
        """Predict with these."""
        self._loaded = [(texts, networks)]
        self.schedule = networks.diffusion.schedule().to(networks.unet.device)

    def _worded(self, prompt: str) -> list[str]:
        """A prompt for each of DIRECTIONS, then as it is."""
        return [*(worded(self.view_text, prompt, view) for view in DIRECTIONS), prompt]

    def _check(self, texts: Texts, place: str, wordings: list[str], stage: Stage) -> None:
        """Say what of a new prompt the text encoder would not read, and warn of words that it does not know."""
        if all(wording in texts for wording in wordings):
            return
        over = max(map(texts.left_out, wordings), key=len)
        if over:
            cause = f"is longer than the {texts.length} tokens that {self.weights} reads: {over!r} is left over"
            raise BadInput(cause, place=place, remedy="shorten it; the words that say where the view is count too")
        for word in texts.unknown(wordings[-1]):
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
        cameras = cameras.to(embed.device)
        empty = "" if self.null == "empty" else self.negative_prompt
        fixed = {"adapter": prompts, "unconditional": [empty] * len(prompts)}
        fixed["negative"] = [self.negative_prompt] * len(prompts)
        tensors = {name: embed(texts) for name, texts in fixed.items()}
        tensors["camera"] = cameras.c2w.flatten(1)
        tensors["view"] = view_features(cameras)
        return Condition(tensors | self._view_texts(embed, prompts, cameras))

    def _view_texts(self, embed: Texts, prompts: list[str], cameras: Cameras) -> dict[str, Tensor]:
        """What depends on where the views are: the conditional text, and Perp-Neg's negatives with their weights."""
        if self.view_prompts == "none":
            return {"conditional": embed(prompts)}
        words = [text for prompt in prompts for text in self._worded(prompt)[:-1]]
        table = embed(words).unflatten(0, (len(prompts), len(DIRECTIONS)))
        azimuth, elevation = cameras.azimuth, cameras.elevation
        if self.view_prompts == "bins":
            shares = binned(azimuth, elevation, self.front, self.back, self.overhead)
        else:
            shares = interpolated(azimuth, elevation, self.overhead)
        tensors = {"conditional": torch.einsum("vd,vdtw->vtw", shares, table)}
        if self.view_prompts == "perp_neg":
            index, tensors["perp_neg"] = perp_neg_directions(azimuth, elevation, self.overhead)
            rows = torch.arange(len(table), device=table.device)
            tensors |= {name: table[rows, index[:, i]] for i, name in enumerate(_NEGATIVES)}
        return tensors

    def perp_neg_weights(self, condition: Condition) -> Float[Tensor, "batch negatives"] | None:
        """Weights of the two negative views of each row; None without Perp-Neg."""
        return condition.tensors.get("perp_neg")

    def encode(self, images: Float[Tensor, "batch rows columns 3"]) -> Latents:
        """Scaled latents of pictures of any size; a learned autoencoder's posterior mode."""
        return to_latents(self.networks.codec, images, self.networks.picture_size)

    def decode(self, latents: Latents) -> Float[Tensor, "batch rows columns 3"]:
        """Pictures of scaled latents."""
        return to_pictures(self.networks.codec, latents)

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
        many, times = noisy.repeat(len(branches), 1, 1, 1), t.repeat(len(branches))
        rows = condition.tensors
        text = torch.cat([rows["adapter" if name == "adapter_null" else name] for name in branches])
        nowhere = torch.zeros_like(rows["view"])
        view = torch.cat([rows["view"] if name in _TOLD_THE_VIEW else nowhere for name in branches])
        with applied(adapter, branches, condition):
            output = self.networks(many, times, text, view).float()
        epsilon = self.schedule.to_epsilon(output, many, times, self.networks.diffusion.prediction)
        return dict(zip(branches, epsilon.chunk(len(branches)), strict=True))

    def adapter(self, rank: int, rng: torch.Generator) -> Adapter:
        """Low-rank changes of the UNet's attention, and an embedding of the camera."""
        return LoraAdapter(self.networks.unet, rank, rng)


def _load(weights: str, device: torch.device) -> Networks:
    networks = load(find(weights))
    frozen(networks)
    networks.to(device)
    if device.type == "cuda":
        networks.to(torch.bfloat16)
    networks.unet.to(memory_format=torch.channels_last)
    return networks
