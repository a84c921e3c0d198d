"""Texts to embeddings, by an encoder that is in memory only while it works."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d.part import frozen
from gen3d.weights.files import read_config
from gen3d_stable_diffusion.sdxl import SECOND, AnyEncoder, load_two_text_encoders, width
from gen3d_stable_diffusion.text import load_text_encoder, load_tokenizer

_MARKS = 2
"""Tokens around each text: its start and its end."""


class Texts:
    """Embeddings of texts, each computed once. The encoder is in memory only while it works.

    Args:
        folder: of the weights, with the folders `tokenizer` and `text_encoder`, and SDXL's two more.
        device: where embeddings are computed and kept.
        words: embeddings of the words that texts write as `learnt` ones.

    Raises:
        Unavailable: a part is missing.
        BadInput: a part is damaged.
    """

    def __init__(self, folder: Path, device: torch.device, words: Float[Tensor, "words width"] | None = None) -> None:
        self.folder, self.device, self.words = folder, device, words
        self.tokenizer = load_tokenizer(folder / "tokenizer", 0 if words is None else len(words))
        self.length = int(read_config(folder / "text_encoder").get("max_position_embeddings", 77))
        self.two = (folder / SECOND).is_dir()
        self.width = width(folder) + (width(folder, SECOND) if self.two else 0)
        self._known: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "texts tokens width"]:
        """An embedding of each token of each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known |= zip(new, self.encoder()(new), strict=True)
        return torch.stack([self._known[text] for text in texts])

    def encoder(self) -> AnyEncoder:
        """The encoder itself, frozen; whoever asks for it has it in memory."""
        encoder: AnyEncoder
        if self.two:
            encoder = load_two_text_encoders(self.folder, self.words)
        else:
            encoder = load_text_encoder(self.folder, self.tokenizer, self.words)
        frozen(encoder.to(self.device))
        return encoder

    def __contains__(self, text: str) -> bool:
        """Whether a text has been embedded already."""
        return text in self._known

    def left_out(self, text: str) -> str:
        """The end of a text that the encoder would not read; empty where it reads all of it."""
        tokens = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return str(self.tokenizer.decode(tokens[self.length - _MARKS :])).strip()

    def unknown(self, text: str) -> list[str]:
        """The words of a text that are not in the vocabulary; CLIP's spells every word out, so it knows them all."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            return []
        found = backend.encode(text, add_special_tokens=False)
        missing = self.tokenizer.unk_token_id
        places = (place for token, place in zip(found.ids, found.offsets, strict=True) if token == missing)
        return [*dict.fromkeys(text[start:end].lower() for start, end in places)]

    def vocabulary(self) -> list[str]:
        """Every token."""
        return sorted(self.tokenizer.get_vocab())
