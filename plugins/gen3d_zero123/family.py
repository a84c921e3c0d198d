"""Published weights of Zero-1-to-3, and how one-file checkpoints of it become folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, cast, get_args

from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from gen3d.errors import BadInput
from gen3d.weights.family import Family, Published
from gen3d.weights.folder import Diffusion, write_json, write_tensors
from gen3d.weights.ldm import LdmCheckpoint, clip_sizes
from gen3d_zero123.loader import load, load_projection
from gen3d_zero123.pose import PoseDialect, dialect_of

_LATENT = 32
"""Side of the latents that all published ones work on; their pictures have 256 pixels."""

_TOWER = "cond_stage_model.model.visual."
_TEXT = "cond_stage_model.model."
"""Leftovers of CLIP's text tower: embeddings and norms, without its transformer."""

_MIT, _STABILITY = "MIT", "Stability AI non-commercial research community licence"


class Zero123Family(Family):
    """Weights of the prior `zero123`."""

    kind = "zero123"
    published: ClassVar[Mapping[str, Published]] = {
        "zero123-xl": Published(
            ("bennyguo/zero123-xl-diffusers", "kxic/zero123-xl", "ashawkey/zero123-xl-diffusers"), 5, _MIT
        ),
        "zero123-105000": Published(("kxic/zero123-105000", "cvlab/zero123-weights:105000.ckpt"), 5, _MIT),
        "zero123-165000": Published(("kxic/zero123-165000", "cvlab/zero123-weights:165000.ckpt"), 5, _MIT),
        "stable-zero123": Published(
            (
                "kxic/stable-zero123",
                "ashawkey/stable-zero123-diffusers",
                "stabilityai/stable-zero123:stable_zero123.ckpt",
            ),
            5,
            _STABILITY,
        ),
    }
    parts = (("unet",), ("vae",), ("image_encoder",), ("cc_projection", "clip_camera_projection"), ("scheduler",))
    marks = ("cc_projection", "clip_camera_projection", _TOWER)
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"pose": get_args(PoseDialect)}

    def named(self, name: str) -> dict[str, str]:
        """The pose: stable-zero123 has the polar angle of the input where the others have a difference of radii."""
        return {"pose": dialect_of(name)}

    def check(self, folder: Path, options: Mapping[str, str]) -> dict[str, str]:
        """Load it as a run does; the pose that it states, if it does. Raises Unavailable or BadInput."""
        _, stated, _ = load_projection(folder)
        return {"pose": load(folder, folder.name, stated or cast("PoseDialect", options["pose"])).settings.pose}

    def convert(self, checkpoint: LdmCheckpoint, folder: Path, options: Mapping[str, str]) -> list[str]:
        """Write a checkpoint of the original code, with the average of its UNet; which tensors are left over.

        Raises:
            BadInput: it is of another model, damaged, or not all there.
        """
        _check_signature(checkpoint)
        unet, vae = checkpoint.unet(_LATENT), checkpoint.vae(_LATENT)
        for network, part in ((unet, "unet"), (vae, "vae")):
            network.save_config(folder / part)
            write_tensors(network, folder / part)
        encoder = _encoder(checkpoint)
        encoder.config.save_pretrained(folder / "image_encoder")
        write_tensors(encoder, folder / "image_encoder")
        _write_projection(checkpoint, folder / "cc_projection", options["pose"])
        Diffusion().write(folder / "scheduler")
        write_json(folder / "model_index.json", _INDEX)
        return checkpoint.leftovers([_TEXT])


_INDEX = {
    "_class_name": "Zero1to3StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "cc_projection": ["gen3d_zero123", "CCProjection"],
}


def _check_signature(checkpoint: LdmCheckpoint) -> None:
    have, place = checkpoint.in_channels, str(checkpoint.path)
    if have != 8:  # noqa: PLR2004 (two latents)
        cause = f"conv_in has {have} input channels; a Zero-1-to-3 has 8: noisy latent and input picture"
        remedy = "a plain Stable Diffusion model cannot be used here; give view-conditioned weights such as zero123-xl"
        raise BadInput(cause, place=place, remedy=remedy)
    if "cc_projection.weight" not in checkpoint.tensors:
        remedy = "a picture model without it is no Zero-1-to-3; give one that has it"
        raise BadInput("has no pose projection (cc_projection.weight)", place=place, remedy=remedy)


def _encoder(checkpoint: LdmCheckpoint) -> CLIPVisionModelWithProjection:
    """CLIP's picture tower by OpenAI's names; its sizes from its tensors."""
    try:
        patches, places = (
            checkpoint.tensors[f"{_TOWER}conv1.weight"],
            checkpoint.tensors[f"{_TOWER}positional_embedding"],
        )
        projection = checkpoint.tensors[f"{_TOWER}proj"]
    except KeyError as error:
        remedy = "fetch it again, or give the whole checkpoint"
        raise BadInput(f"lacks {error.args[0]}", place=str(checkpoint.path), remedy=remedy) from error
    config = CLIPVisionConfig(
        patch_size=patches.shape[-1],
        image_size=patches.shape[-1] * round((len(places) - 1) ** 0.5),
        projection_dim=projection.shape[1],
        hidden_act="quick_gelu",
        **clip_sizes(checkpoint.tensors, _TOWER, len(patches)),
    )
    tower: CLIPVisionModelWithProjection = checkpoint.clip(lambda: CLIPVisionModelWithProjection(config), _TOWER)
    return tower


def _write_projection(checkpoint: LdmCheckpoint, folder: Path, pose: str) -> None:
    weight = checkpoint.tensors["cc_projection.weight"]
    linear = checkpoint.network(
        lambda: nn.Linear(weight.shape[1], weight.shape[0]), lambda name: checkpoint.take("cc_projection.", name)
    )
    write_tensors(linear, folder, prefix="projection.")
    write_json(folder / "config.json", {"_class_name": "CCProjection", "pose": pose})


FAMILY = Zero123Family()
