"""Guidance by the prompt and a picture together (Lin et al. 2023, Magic3D, section 5)."""

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from rich.console import Console
from torch import Tensor

from gen3d import rng
from gen3d.errors import BadInput, Degenerate
from gen3d.part import Part, Stage, Step
from gen3d.schedule import Schedule
from gen3d_stable_diffusion.inversion import learn_words, random_words
from gen3d_stable_diffusion.networks import Networks
from gen3d_stable_diffusion.text import learnt
from gen3d_stable_diffusion.texts import Texts

_REPORTS = 10
"""How often it is said how far learning has come."""


class Style(Part):
    """Lets the picture `inputs.style` steer what the prompt makes.

    Guided noise is e_0 + w_text (e_text - e_0) + w_joint (e_joint - e_0), which is guidance of the scale
    w_text + w_joint, the objective's cfg_scale, towards (1 - share) e_text + share e_joint. Magic3D's prior reads
    pictures; this one reads texts, so its "joint" is the prompt with words that are learnt to stand for the picture.

    They are learnt before the first step, once a run, and checkpointed: a resumed run need not wait for them again,
    and goes on with the same ones wherever it is, which learning anew would only give on the same machine.

    Args:
        share: w_joint / (w_text + w_joint); 0 leaves the picture out. Magic3D's two weights are equal.
        words: how many are learnt.
        wording: of the prompt with the words. They are learnt in what it makes of no prompt.
        steps: of learning.
        batch: crops of the picture a step.
        lr: of learning, by Adam.
    """

    buffers_to_checkpoint = ("words",)
    words: Tensor
    texts: Texts
    """What reads the words too."""

    def __init__(
        self,
        share: Schedule | float = 0.5,
        words: int = 2,
        wording: str = "{prompt}, in the style of {style}",
        steps: int = 1000,
        batch: int = 4,
        lr: float = 0.002,
    ) -> None:
        super().__init__()
        self.share, self.count, self.wording = Schedule.of(share), words, wording
        if not all(0 <= value <= 1 for _, value in self.share.knots):
            raise BadInput("share is not from 0 to 1", remedy="0 is the prompt alone, 1 the prompt with the picture")
        if "{prompt}" not in wording or "{style}" not in wording:
            raise BadInput(f"wording is {wording!r}", remedy="it holds {prompt} and {style}")
        for name, value in (("words", words), ("steps", steps), ("batch", batch), ("lr", lr)):
            if not value > 0:
                raise BadInput(f"{name} is {value}", remedy="it is more than 0")
        self.steps, self.batch, self.lr, self.now = steps, batch, lr, 0.0
        self.register_buffer("words", torch.zeros(words, 0))

    @property
    def steers(self) -> bool:
        """Whether the picture ever has a share."""
        return any(value for _, value in self.share.knots)

    def bind(self, stage: Stage) -> None:
        """Read the picture. Raises BadInput where there is none, or it cannot be read."""
        self._stage, self._picture = stage, on_white(stage.inputs.style_picture).to(stage.device)

    def use(self, texts: Texts, networks: Networks) -> None:
        """Learn for these."""
        self.words = torch.zeros(self.count, texts.width, device=texts.device)
        self.texts = Texts(texts.folder, texts.device, self.words)
        self._networks = [networks]  # in a list, so that no checkpoint ever holds them

    def at(self, step: Step) -> None:
        """The share of this step; the words, unless a checkpoint or an earlier stage has brought them."""
        self.now = self.share(step.index, step.total)
        if not self.words.any():
            about = (self.count, self.wording, self.steps, self.batch, self.lr)
            key = ("stable_diffusion style", self._stage.inputs.style, str(self.texts.folder), *about)
            self.words.copy_(self._stage.share(key, self._learn))

    def worded(self, prompt: str) -> str:
        """A prompt with the words: "a chair" as "a chair, in the style of <word-0> <word-1>"."""
        text = self.wording.replace("{style}", " ".join(learnt(self.count))).replace("{prompt}", prompt)
        return text if prompt else text.strip(" ,")

    def _learn(self) -> Float[Tensor, "words width"]:
        """From random words; the text encoder is in memory only while this lasts."""
        draw, encoder = rng.generator(self._stage.seed, "stable_diffusion.style"), self.texts.encoder()
        words = encoder.words = random_words(encoder, self.count, draw)
        learn_words(
            self._networks[0],
            encoder,
            words,
            self._picture,
            self.worded(""),
            draw,
            steps=self.steps,
            batch=self.batch,
            lr=self.lr,
            told=self._report,
        )
        if not words.isfinite().all():
            raise Degenerate("learning the words did not stay finite", place="style", remedy="lower style.lr")
        return words

    def _report(self, step: int, loss: float) -> None:
        if (step + 1) % max(1, self.steps // _REPORTS) == 0:
            text = f"learning the words for {self._stage.inputs.style}  {step + 1}/{self.steps}  loss {loss:.3g}"
            Console().print(text, soft_wrap=True, highlight=False, markup=False)


def on_white(picture: Image.Image) -> Float[Tensor, "height width 3"]:
    """An RGBA picture as sRGB in [0, 1]."""
    white = Image.new("RGBA", picture.size, "white")
    return torch.from_numpy(np.array(Image.alpha_composite(white, picture).convert("RGB"))).float() / 255
