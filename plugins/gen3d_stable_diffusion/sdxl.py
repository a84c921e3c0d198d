"""The text encoders of SDXL (Podell et al. 2023): two of CLIP's towers, side by side."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import CLIPTextModelWithProjection

from gen3d.weights.files import read_config
from gen3d_stable_diffusion.text import TextEncoder, load_text_encoder, load_tokenizer

SECOND = "text_encoder_2"
"""The folder that only SDXL has."""


class TwoTextEncoders(nn.Module):
    """The last hidden states but one of both, and the second's pooled text as one token more, padded with zeros.

    So a text is one tensor here too, and all that mixes texts mixes their pooled ones alike.

    Args:
        first: the smaller one.
        second: the larger one, with a projection of the pooled text.
        no_text: whether the empty text is all zeros, as the published pipeline has it where no text is given.
        words: embeddings of the tokenizers' `learnt` words, those of the first before those of the second.
    """

    def __init__(
        self,
        first: TextEncoder,
        second: TextEncoder,
        words: Float[Tensor, "words context"] | None = None,
        *,
        no_text: bool = True,
    ) -> None:
        super().__init__()
        self.first, self.second, self.words, self.no_text = first, second, words, no_text

    @property
    def embeddings(self) -> Float[Tensor, "tokens context"]:
        """What the two networks look up for each token that they were trained with."""
        return torch.cat([self.first.embeddings, self.second.embeddings], dim=1)

    def forward(self, texts: Sequence[str]) -> Float[Tensor, "texts tokens context"]:
        """An embedding of each token of each text, and the pooled text; differentiable by `words`."""
        towers = (self.first, self.second)
        if self.words is not None:
            widths = [tower.embeddings.shape[1] for tower in towers]
            self.first.words, self.second.words = self.words.split(widths, dim=1)
        outputs = [tower.output(texts, output_hidden_states=True) for tower in towers]
        tokens = torch.cat([output.hidden_states[-2] for output in outputs], dim=2)
        pooled = outputs[1].text_embeds[:, None]
        states = torch.cat([tokens, pad(pooled, (0, tokens.shape[2] - pooled.shape[2]))], dim=1).float()
        given = torch.tensor([bool(text) or not self.no_text for text in texts], device=states.device)
        return states * given[:, None, None]


AnyEncoder = TextEncoder | TwoTextEncoders


def load_two_text_encoders(folder: Path, words: Float[Tensor, "words context"] | None = None) -> TwoTextEncoders:
    """Both towers with their tokenizers, of whatever size their configurations say."""
    count = 0 if words is None else len(words)
    tokenizers = [load_tokenizer(folder / name, count) for name in ("tokenizer", "tokenizer_2")]
    split = (None, None) if words is None else words.split([width(folder), width(folder, SECOND)], dim=1)
    first = load_text_encoder(folder, tokenizers[0], split[0])
    second = load_text_encoder(folder, tokenizers[1], split[1], SECOND, CLIPTextModelWithProjection)
    index = read_config(folder, "model_index.json")
    return TwoTextEncoders(first, second, words, no_text=bool(index.get("force_zeros_for_empty_prompt", True)))


def width(folder: Path, name: str = "text_encoder") -> int:
    """Of the embeddings of one encoder."""
    return int(read_config(folder / name).get("hidden_size", 512))
