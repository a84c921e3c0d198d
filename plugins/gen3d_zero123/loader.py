"""Load networks from the diffusers folder layout, each sub-folder with its own stock class.

DiffusionPipeline.from_pretrained is not used: the published folders name pipeline classes that exist in no release.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from gen3d.errors import BadInput, Unavailable
from gen3d_zero123.codecs import Autoencoder, Codec, PixelRearrange
from gen3d_zero123.encoders import ClipEncoder, PatchEncoder, PictureEncoder
from gen3d_zero123.epipolar import epipolar_channels
from gen3d_zero123.files import fill, read_config, read_tensors
from gen3d_zero123.networks import Networks, Settings
from gen3d_zero123.pose import POSE_WIDTH, PoseDialect

_PROJECTIONS = ("cc_projection", "clip_camera_projection")
_KEYS = ("projection", "proj", "cc_projection")
_OLD_VAE = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def load(folder: Path, name: str, pose: PoseDialect | None = None) -> Networks:
    """Read a whole model.

    Args:
        folder: in diffusers' layout: unet, vae, image_encoder, cc_projection (or clip_camera_projection), scheduler.
        name: what the recipe calls it; one with "stable" in it has the "polar" pose by default.
        pose: the dialect of its pose vector, where neither the folder nor the name tells.

    Raises:
        Unavailable: a part is missing.
        BadInput: a part is damaged, misshapen, or of no Zero-1-to-3.
    """
    unet, codec, encoder = (
        load_unet(folder / "unet"),
        load_codec(folder / "vae"),
        load_encoder(folder / "image_encoder"),
    )
    projection, stated, points = load_projection(folder)
    _check_channels(unet, codec, points, folder / "unet")
    dialect: PoseDialect = pose or stated or ("polar" if "stable" in name else "radius")
    width = (unet.config["cross_attention_dim"], encoder.width + POSE_WIDTH[dialect])
    if tuple(projection.weight.shape) != width:
        found = "x".join(map(str, projection.weight.shape))
        cause = f"the pose projection is {found}; these networks and the pose {dialect!r} need {width[0]}x{width[1]}"
        raise BadInput(cause, place=str(folder), remedy="set the prior's pose to the one it was trained with")
    return Networks(unet, codec, encoder, projection, _settings(folder / "scheduler", dialect, points))


def load_unet(folder: Path) -> UNet2DConditionModel:
    """The denoising network."""
    config = read_config(folder)
    return _filled(lambda: UNet2DConditionModel.from_config(config), folder, *read_tensors(folder))


def load_codec(folder: Path) -> Codec:
    """What the folder's config.json names: AutoencoderKL or PixelRearrange."""
    config = read_config(folder)
    kind = config.get("_class_name")
    if kind == "PixelRearrange":
        codec: PixelRearrange = PixelRearrange.from_config(config)
        return codec
    if kind != "AutoencoderKL":
        raise BadInput(
            f"codec {kind!r} is not known", place=str(folder), remedy="known are AutoencoderKL, PixelRearrange"
        )
    tensors, path = read_tensors(folder)
    return Autoencoder(_filled(lambda: AutoencoderKL.from_config(config), folder, _modern(tensors), path))


def load_encoder(folder: Path) -> PictureEncoder:
    """A CLIP picture tower, or the patch encoder of a small model."""
    config = read_config(folder)
    if config.get("_class_name") == "PatchEncoder":
        return _filled(lambda: PatchEncoder.from_config(config), folder, *read_tensors(folder))
    clip_config = CLIPVisionConfig.from_dict(config.get("vision_config", config))
    clip = _filled(lambda: CLIPVisionModelWithProjection(clip_config), folder, *read_tensors(folder))
    for module in clip.modules():  # the one buffer that no checkpoint holds
        if isinstance(getattr(module, "position_ids", None), Tensor):
            module.position_ids = torch.arange(module.position_ids.shape[-1])[None]
    return ClipEncoder(clip)


def load_projection(folder: Path) -> tuple[nn.Linear, PoseDialect | None, int]:
    """The pose projection, by any of its names, the dialect that its folder states, if it does, and `epipolar`."""
    place = next((folder / name for name in _PROJECTIONS if (folder / name).is_dir()), None)
    if place is None:
        cause = "has no pose projection (cc_projection or clip_camera_projection)"
        raise Unavailable(
            cause, place=str(folder), remedy="a picture model without it is no Zero-1-to-3; fetch one that has it"
        )
    tensors, path = read_tensors(place)
    found = next((key for key in _KEYS if {f"{key}.weight", f"{key}.bias"} <= tensors.keys()), None)
    if found is None or tensors[f"{found}.weight"].ndim != 2:  # noqa: PLR2004 (a matrix)
        remedy = f"expected are weight and bias of one of: {', '.join(_KEYS)}"
        raise BadInput("holds no pose projection", place=str(path), remedy=remedy)
    weight, bias = (tensors[f"{found}.{name}"].float() for name in ("weight", "bias"))
    projection = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    fill(projection, {"weight": weight, "bias": bias}, path)
    config = read_config(place) if (place / "config.json").is_file() else {}
    stated, points = config.get("pose"), config.get("epipolar", 0)
    if stated is not None and stated not in POSE_WIDTH:
        raise BadInput(f"pose {stated!r} is not known", place=str(place), remedy=f"known are {', '.join(POSE_WIDTH)}")
    if not isinstance(points, int) or points < 0:
        raise BadInput(f"epipolar is {points!r}", place=str(place), remedy="it is a number of points, 0 for none")
    return projection, stated, points


def _settings(folder: Path, pose: PoseDialect, points: int) -> Settings:
    config = read_config(folder, "scheduler_config.json")
    shape = config.get("beta_schedule", "scaled_linear")
    if shape != "scaled_linear":
        raise BadInput(f"beta_schedule {shape!r} is not known", place=str(folder), remedy="it is scaled_linear")
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in ("epsilon", "v_prediction", "sample"):
        raise BadInput(f"prediction_type {prediction!r} is not known", place=str(folder), remedy="epsilon is usual")
    bounds = (config.get("beta_start", 0.00085), config.get("beta_end", 0.012), config.get("num_train_timesteps", 1000))
    return Settings(pose, prediction, *bounds, epipolar=points)


def _check_channels(unet: UNet2DConditionModel, codec: Codec, points: int, folder: Path) -> None:
    have, want = unet.config["in_channels"], 2 * codec.channels + epipolar_channels(points)
    if have != want:
        cause = f"conv_in has {have} input channels; a Zero-1-to-3 has {want}: noisy latent and input picture"
        remedy = "a plain Stable Diffusion model cannot be used here; give view-conditioned weights such as zero123-xl"
        raise BadInput(cause, place=str(folder), remedy=remedy)


def _filled(make: Callable[[], Any], folder: Path, tensors: dict[str, Tensor], path: Path) -> Any:
    try:
        with torch.device("meta"):
            network = make()
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadInput(f"config.json describes no such network: {error}", place=str(folder)) from error
    fill(network, tensors, path)
    return network


def _modern(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """VAE attention as current diffusers names and shapes it."""
    result = {}
    for name, tensor in tensors.items():
        *head, layer, kind = name.split(".")
        if "attentions" in head and layer in _OLD_VAE:
            name = ".".join([*head, _OLD_VAE[layer], kind])  # noqa: PLW2901
            tensor = tensor.flatten(1) if kind == "weight" else tensor  # noqa: PLW2901
        elif "attentions" in head and kind == "weight" and tensor.ndim == 4:  # noqa: PLR2004 (a 1x1 convolution)
            tensor = tensor.flatten(1)  # noqa: PLW2901
        result[name] = tensor
    return result
