"""A text encoder: tokenizer and network, each with its stock class."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from tokenizers import AddedToken
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, PreTrainedTokenizerFast

from gen3d.errors import BadInput, Unavailable
from gen3d.weights.files import filled, read_config, read_tensors

PREFIX = "text_model."
"""What published names of the encoder's tensors begin with, and those of some versions of its class."""


def learnt(count: int) -> list[str]:
    """How texts write the words that a text encoder was not trained with, each of which is one token."""
    return [f"<word-{number}>" for number in range(count)]


class TextEncoder(nn.Module):
    """CLIP's text tower as Stable Diffusion uses it: the last hidden states, padding included, unmasked.

    Args:
        tokenizer: of the texts; with `words`, its last tokens are `learnt` ones.
        clip: the stock network, a CLIPTextModel or one with a projection.
        words: embeddings of those tokens, which the network has none for.
    """

    def __init__(self, tokenizer: Any, clip: Any, words: Float[Tensor, "words width"] | None = None) -> None:
        super().__init__()
        self.tokenizer, self.clip, self.words = tokenizer, clip, words

    @property
    def known(self) -> int:
        """How many tokens the network was trained with."""
        return len(self.tokenizer) - (0 if self.words is None else len(self.words))

    @property
    def embeddings(self) -> Float[Tensor, "tokens width"]:
        """What the network looks up for each of those."""
        table: Tensor = self.clip.get_input_embeddings().weight
        return table[: self.known]

    def ids(self, texts: Sequence[str]) -> Int[Tensor, "texts tokens"]:
        """Tokens of texts, cut or padded to the length that the encoder reads."""
        length = int(self.clip.config.max_position_embeddings)
        encoded = self.tokenizer([*texts], padding="max_length", max_length=length, truncation=True)
        return torch.tensor(encoded["input_ids"])

    def forward(self, texts: Sequence[str]) -> Float[Tensor, "texts tokens width"]:
        """An embedding of each token of each text; differentiable by `words`."""
        states: Tensor = self.output(texts).last_hidden_state
        return states.float()

    def output(self, texts: Sequence[str], **more: Any) -> Any:
        """All that the network says, told `more`."""
        ids = self.ids(texts).to(self.clip.device)
        if self.words is None:
            return self.clip(ids, **more)
        number = ids - self.known
        own = self.words[number.clamp_min(0)]

        def put(_: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return torch.where((number < 0)[..., None], output, own.to(output))

        handle = self.clip.get_input_embeddings().register_forward_hook(put)
        try:
            return self.clip(ids.where(number < 0, 0), **more)
        finally:
            handle.remove()


def load_tokenizer(folder: Path, words: int = 0) -> Any:
    """CLIP's tokenizer, or the one of whole words that small models have, with so many `learnt` words more.

    Raises Unavailable or BadInput.
    """
    if not folder.is_dir():
        raise Unavailable("has no tokenizer", place=str(folder.parent), remedy="fetch it again, all of its files")
    kind = read_config(folder, "tokenizer_config.json").get("tokenizer_class", "CLIPTokenizer")
    known = {"CLIPTokenizer": CLIPTokenizer, "PreTrainedTokenizerFast": PreTrainedTokenizerFast}
    if kind not in known:
        raise BadInput(f"tokenizer {kind!r} is not known", place=str(folder), remedy=f"known are {', '.join(known)}")
    try:
        tokenizer = known[kind].from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises whatever its parsers do, Exception itself included
        cause = f"is damaged or incomplete: {str(error).splitlines()[0]}"
        raise BadInput(cause, place=str(folder), remedy="fetch tokenizer again, all of its files") from error
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in learnt(words)])
    return tokenizer


def load_text_encoder(
    folder: Path,
    tokenizer: Any,
    words: Float[Tensor, "words width"] | None = None,
    name: str = "text_encoder",
    kind: Any = CLIPTextModel,
) -> TextEncoder:
    """CLIP's text tower, of whatever size its configuration says.

    Args:
        folder: of the weights.
        tokenizer: of its texts.
        words: embeddings of the tokenizer's `learnt` words.
        name: of the folder with the network.
        kind: its stock class.
    """
    place = folder / name
    config = CLIPTextConfig.from_dict(read_config(place))
    tensors, path = read_tensors(place)
    bare = {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items()}
    with torch.device("meta"):
        wanted = kind(config).state_dict()
    named = {key: bare[key.removeprefix(PREFIX)] for key in wanted if key.removeprefix(PREFIX) in bare}
    encoder = TextEncoder(tokenizer, filled(lambda: kind(config), place, named, path), words)
    if encoder.known > config.vocab_size:
        cause = f"the tokenizer has {encoder.known} tokens, and the text encoder knows {config.vocab_size}"
        raise BadInput(cause, place=str(folder), remedy="the two folders belong to different models")
    return encoder
