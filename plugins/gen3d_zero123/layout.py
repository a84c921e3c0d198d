"""Write small networks in the diffusers folder layout that the published weights come in."""

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

from diffusers import DDIMScheduler
from safetensors.torch import save_file

from gen3d_zero123.codecs import PixelRearrange
from gen3d_zero123.networks import Networks

_WEIGHTS = "diffusion_pytorch_model.safetensors"


def save(networks: Networks, folder: Path, **about: Any) -> None:
    """Write every sub-folder beside `folder`, then swap it in, so that no reader finds half of one.

    Weights are stored in half precision, which has more digits than the bfloat16 they are trained with.

    Args:
        networks: what to write; pixel rearrangement and patch encoder.
        folder: where; replaced if it exists.
        about: further entries of model_index.json, such as the number of training steps.
    """
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir(parents=True)
    _write(networks, draft, about)
    for file in draft.rglob("*.safetensors"):
        file.chmod(0o644)  # safetensors lets nobody else read what it writes
    if folder.exists():
        old = draft.with_name(f"{draft.name}.old")
        folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old)
    else:
        draft.rename(folder)


def _write(networks: Networks, folder: Path, about: dict[str, Any]) -> None:
    _write_network(networks.unet, folder / "unet")
    _write_network(networks.encoder, folder / "image_encoder")
    assert isinstance(networks.codec, PixelRearrange)
    networks.codec.save_config(folder / "vae")
    _scheduler(networks).save_pretrained(folder / "scheduler")
    projection, settings = folder / "cc_projection", networks.settings
    projection.mkdir()
    weights = {f"projection.{name}": value.half() for name, value in networks.projection.state_dict().items()}
    save_file(weights, projection / _WEIGHTS)
    posing = {"_class_name": "CCProjection", "pose": settings.pose, "epipolar": settings.epipolar}
    _write_json(projection / "config.json", posing)
    index = {
        "_class_name": "Zero1to3StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["gen3d_zero123", type(networks.codec).__name__],
        "image_encoder": ["gen3d_zero123", type(networks.encoder).__name__],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "cc_projection": ["gen3d_zero123", "CCProjection"],
    }
    _write_json(folder / "model_index.json", index | about)


def _write_network(network: Any, folder: Path) -> None:
    folder.mkdir()
    network.save_config(folder)
    save_file({name: value.half().contiguous() for name, value in network.state_dict().items()}, folder / _WEIGHTS)


def _scheduler(networks: Networks) -> DDIMScheduler:
    settings = networks.settings
    return DDIMScheduler(
        beta_start=settings.beta_start,
        beta_end=settings.beta_end,
        beta_schedule="scaled_linear",
        num_train_timesteps=settings.timesteps,
        prediction_type=settings.prediction,
        steps_offset=1,
        set_alpha_to_one=False,
        clip_sample=False,
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
