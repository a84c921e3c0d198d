"""Texts to embeddings: tokenizer and text encoder, each with its stock class."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, PreTrainedTokenizerFast

from gen3d.errors import BadInput, Unavailable
from gen3d.part import frozen
from gen3d.weights.files import filled, read_config, read_tensors

PREFIX = "text_model."
"""What published names of the encoder's tensors begin with, and those of some versions of its class."""

_MARKS = 2
"""Tokens around each text: its start and its end."""


class TextEncoder(nn.Module):
    """CLIP's text tower as Stable Diffusion uses it: the last hidden states, padding included, unmasked.

    Args:
        tokenizer: of the texts.
        clip: the stock network.
    """

    def __init__(self, tokenizer: Any, clip: CLIPTextModel) -> None:
        super().__init__()
        self.tokenizer, self.clip = tokenizer, clip

    def ids(self, texts: Sequence[str]) -> Int[Tensor, "texts tokens"]:
        """Tokens of texts, cut or padded to the length that the encoder reads."""
        length = int(self.clip.config.max_position_embeddings)
        encoded = self.tokenizer([*texts], padding="max_length", max_length=length, truncation=True)
        return torch.tensor(encoded["input_ids"])

    def forward(self, texts: Sequence[str]) -> Float[Tensor, "texts tokens width"]:
        """An embedding of each token of each text."""
        states: Tensor = self.clip(self.ids(texts).to(self.clip.device)).last_hidden_state
        return states.float()


class Texts:
    """Embeddings of texts, each computed once. The encoder is in memory only while it works.

    Args:
        folder: of the weights, with the folders `tokenizer` and `text_encoder`.
        device: where embeddings are computed and kept.

    Raises:
        Unavailable: a part is missing.
        BadInput: a part is damaged.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.folder, self.device = folder, device
        self.tokenizer = load_tokenizer(folder / "tokenizer")
        self.length = int(read_config(folder / "text_encoder").get("max_position_embeddings", 77))
        self._known: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "texts tokens width"]:
        """An embedding of each token of each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            encoder = frozen(load_text_encoder(self.folder, self.tokenizer).to(self.device))
            self._known |= zip(new, encoder(new), strict=True)
        return torch.stack([self._known[text] for text in texts])

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


def load_tokenizer(folder: Path) -> Any:
    """CLIP's tokenizer, or the one of whole words that small models have. Raises Unavailable or BadInput."""
    if not folder.is_dir():
        raise Unavailable("has no tokenizer", place=str(folder.parent), remedy="fetch it again, all of its files")
    kind = read_config(folder, "tokenizer_config.json").get("tokenizer_class", "CLIPTokenizer")
    known = {"CLIPTokenizer": CLIPTokenizer, "PreTrainedTokenizerFast": PreTrainedTokenizerFast}
    if kind not in known:
        raise BadInput(f"tokenizer {kind!r} is not known", place=str(folder), remedy=f"known are {', '.join(known)}")
    try:
        return known[kind].from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises whatever its parsers do, Exception itself included
        cause = f"is damaged or incomplete: {str(error).splitlines()[0]}"
        raise BadInput(cause, place=str(folder), remedy="fetch tokenizer again, all of its files") from error


def load_text_encoder(folder: Path, tokenizer: Any) -> TextEncoder:
    """CLIP's text tower, of whatever size its configuration says."""
    place = folder / "text_encoder"
    config = CLIPTextConfig.from_dict(read_config(place))
    tensors, path = read_tensors(place)
    bare = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
    with torch.device("meta"):
        wanted = CLIPTextModel(config).state_dict()
    named = {name: bare[name.removeprefix(PREFIX)] for name in wanted if name.removeprefix(PREFIX) in bare}
    encoder = TextEncoder(tokenizer, filled(lambda: CLIPTextModel(config), place, named, path))
    if len(tokenizer) > config.vocab_size:
        cause = f"the tokenizer has {len(tokenizer)} tokens, and the text encoder knows {config.vocab_size}"
        raise BadInput(cause, place=str(folder), remedy="the two folders belong to different models")
    return encoder
