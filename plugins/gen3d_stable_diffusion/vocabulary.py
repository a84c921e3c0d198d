"""A tokenizer of whole words, for small models that know a few hundred of them."""

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

_MARKS = {"pad_token": "<pad>", "bos_token": "<start>", "eos_token": "<end>", "unk_token": "<unknown>"}
_FILLING = "a an the of with and in on at is it its that this view"
"""Words that are left out of every text."""


def word_tokenizer(words: Sequence[str], length: int) -> PreTrainedTokenizerFast:
    """A tokenizer that knows these words, in any case, and between any other signs.

    Args:
        words: lower-case, without duplicates.
        length: the most tokens of a text, with the marks at its start and its end.
    """
    vocabulary = {word: number for number, word in enumerate([*_MARKS.values(), *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token=_MARKS["unk_token"]))
    backend.normalizer = normalizers.Lowercase()
    filling = Regex(rf"\b({'|'.join(_FILLING.split())})\b|[^\p{{L}}]+")
    split = pre_tokenizers.Split(filling, behavior="removed")
    backend.pre_tokenizer = split
    marks = [_MARKS["bos_token"], _MARKS["eos_token"]]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{marks[0]} $A {marks[1]}", special_tokens=[(mark, vocabulary[mark]) for mark in marks]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=length, **_MARKS)


def write_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """As the folder `tokenizer`."""
    folder.mkdir()
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": tokenizer.model_max_length, **_MARKS}
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
