"""Write small networks in the diffusers folder layout that the published weights come in."""

from pathlib import Path
from typing import Any

import torch

from gen3d.weights.codecs import PixelRearrange
from gen3d.weights.folder import replacing, write_json, write_tensors
from gen3d_zero123.encoders import PatchEncoder
from gen3d_zero123.networks import Networks


def save(networks: Networks, folder: Path, **about: Any) -> None:
    """Write every sub-folder, replacing the folder at once.

    Weights are stored in half precision, which has more digits than the bfloat16 they are trained with.

    Args:
        networks: what to write; pixel rearrangement and patch encoder.
        folder: where; replaced if it exists.
        about: further entries of model_index.json, such as the number of training steps.
    """
    with replacing(folder) as draft:
        _write(networks, draft, about)


def _write(networks: Networks, folder: Path, about: dict[str, Any]) -> None:
    networks.unet.save_config(folder / "unet")
    write_tensors(networks.unet, folder / "unet", torch.float16)
    write_tensors(networks.encoder, folder / "image_encoder", torch.float16)
    assert isinstance(networks.codec, PixelRearrange)
    assert isinstance(networks.encoder, PatchEncoder)
    networks.encoder.save_config(folder / "image_encoder")
    networks.codec.save_config(folder / "vae")
    networks.settings.diffusion.write(folder / "scheduler")
    projection, settings = folder / "cc_projection", networks.settings
    write_tensors(networks.projection, projection, torch.float16, "projection.")
    posing = {"_class_name": "CCProjection", "pose": settings.pose, "epipolar": settings.epipolar}
    write_json(projection / "config.json", posing)
    index = {
        "_class_name": "Zero1to3StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["gen3d", type(networks.codec).__name__],
        "image_encoder": ["gen3d_zero123", type(networks.encoder).__name__],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "cc_projection": ["gen3d_zero123", "CCProjection"],
    }
    write_json(folder / "model_index.json", index | about)
