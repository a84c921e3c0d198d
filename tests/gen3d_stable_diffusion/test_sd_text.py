"""Texts to embeddings, with the published classes, and with a vocabulary of words."""

import json
from pathlib import Path

import pytest
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from gen3d.errors import BadInput, Unavailable
from gen3d_stable_diffusion import texts as text_module
from gen3d_stable_diffusion.text import load_text_encoder, load_tokenizer
from gen3d_stable_diffusion.texts import Texts
from gen3d_stable_diffusion.trainee import Trainee
from gen3d_stable_diffusion.vocabulary import word_tokenizer, write_tokenizer
from tiny_stable_diffusion import TOKENS, WIDTH, write_tiny_stable_diffusion

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_stable_diffusion(tmp_path_factory.mktemp("weights") / "tiny")


def test_embeddings_are_those_of_the_stock_classes(folder: Path) -> None:
    prompts = ["a red chair", ""]
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").eval()
    ids = tokenizer(prompts, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        wanted = encoder(ids).last_hidden_state
    embedded = Texts(folder, CPU)(prompts)
    assert embedded.shape == (2, TOKENS, WIDTH)
    torch.testing.assert_close(embedded, wanted)


def test_each_text_is_embedded_once_and_the_encoder_freed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    monkeypatch.setattr(text_module, "load_text_encoder", lambda *args: loads.append(args) or load_text_encoder(*args))
    texts = Texts(folder, CPU)
    both = texts(["one", "two", "one"])
    assert torch.equal(both[0], both[2])
    assert "one" in texts
    assert "six" not in texts
    assert torch.equal(texts(["two", "one"]), both[[1, 0]])
    assert len(loads) == 1
    assert not any(isinstance(value, torch.nn.Module) for value in vars(texts).values())


def test_what_the_encoder_would_not_read(folder: Path) -> None:
    texts = Texts(folder, CPU)
    room = TOKENS - 2  # a token a letter, and two marks
    assert texts.left_out("x" * room) == ""
    assert texts.left_out("x" * room + "yz") == "yz"
    assert texts.unknown("any word at all") == []


WORDS = ("chair", "red", "tree")


@pytest.fixture(scope="module")
def of_words(tmp_path_factory: pytest.TempPathFactory) -> Texts:
    trainee = Trainee(size=16, channels=(32, 32), tokens=8, words=16)
    trainee.read(WORDS)
    trainee.save(tmp_path_factory.mktemp("words") / "mini")
    return Texts(next(tmp_path_factory.getbasetemp().glob("words*/mini")), CPU)


def test_words_in_any_case_and_without_filling(of_words: Texts) -> None:
    plain = of_words.tokenizer("red chair")["input_ids"]
    assert of_words.tokenizer("A RED, the chair!")["input_ids"] == plain
    assert of_words.tokenizer("red-chair view")["input_ids"] == plain
    assert len(plain) == 4
    assert of_words.tokenizer("chair red")["input_ids"] != plain


def test_unknown_words_are_named_once_as_they_stand(of_words: Texts) -> None:
    assert of_words.unknown("a red Dragon on a dragon's tree, back view") == ["dragon", "s"]
    assert of_words.unknown("tree, front view") == []


def test_what_of_many_words_is_left_out(of_words: Texts) -> None:
    assert of_words.left_out("red red red red red red") == ""
    assert of_words.left_out("red red red red red red chair tree") == "chair tree"


def test_a_written_tokenizer_is_the_same(tmp_path: Path) -> None:
    tokenizer = word_tokenizer(WORDS, 8)
    write_tokenizer(tokenizer, tmp_path / "tokenizer")
    read = load_tokenizer(tmp_path / "tokenizer")
    for text in ("a red tree", "", "Dragon chair"):
        assert read(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert (read.pad_token_id, read.unk_token_id) == (tokenizer.pad_token_id, tokenizer.unk_token_id)


def test_missing_and_damaged_tokenizers(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no tokenizer"):
        load_tokenizer(tmp_path / "tokenizer")
    place = tmp_path / "tokenizer"
    place.mkdir()
    (place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer"}))
    with pytest.raises(BadInput, match="T5Tokenizer"):
        load_tokenizer(place)
    (place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    (place / "tokenizer.json").write_text("{")
    with pytest.raises(BadInput, match="damaged"):
        load_tokenizer(place)
