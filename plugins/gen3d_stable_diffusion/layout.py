"""Write small networks in the diffusers folder layout that the published weights come in."""

from pathlib import Path
from typing import Any

import torch

from gen3d.weights.codecs import PixelRearrange
from gen3d.weights.folder import replacing, write_json, write_tensors
from gen3d_stable_diffusion.networks import Networks
from gen3d_stable_diffusion.text import PREFIX, TextEncoder
from gen3d_stable_diffusion.vocabulary import write_tokenizer


def save(networks: Networks, text: TextEncoder, folder: Path, **about: Any) -> None:
    """Write every sub-folder, replacing the folder at once.

    Weights are stored in half precision, which has more digits than the bfloat16 they are trained with.

    Args:
        networks: what to write; with pixel rearrangement.
        text: the encoder, with a tokenizer of words.
        folder: where; replaced if it exists.
        about: further entries of model_index.json, such as the number of training steps.
    """
    with replacing(folder) as draft:
        _write(networks, text, draft, about)


def _write(networks: Networks, text: TextEncoder, folder: Path, about: dict[str, Any]) -> None:
    assert isinstance(networks.codec, PixelRearrange)
    networks.unet.save_config(folder / "unet")
    write_tensors(networks.unet, folder / "unet", torch.float16)
    networks.codec.save_config(folder / "vae")
    networks.diffusion.write(folder / "scheduler")
    write_tokenizer(text.tokenizer, folder / "tokenizer")
    text.clip.config.save_pretrained(folder / "text_encoder")
    prefix = "" if next(iter(text.clip.state_dict())).startswith(PREFIX) else PREFIX
    write_tensors(text.clip, folder / "text_encoder", torch.float16, prefix)
    index = {
        "_class_name": "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["gen3d", type(networks.codec).__name__],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    write_json(folder / "model_index.json", index | about)
