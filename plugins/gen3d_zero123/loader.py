"""Load networks from the diffusers folder layout, each sub-folder with its own stock class.

DiffusionPipeline.from_pretrained is not used: the published folders name pipeline classes that exist in no release.
"""

from pathlib import Path
from typing import cast

from diffusers import UNet2DConditionModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from gen3d.errors import BadInput, Unavailable
from gen3d.weights import places
from gen3d.weights.codecs import Codec, load_codec
from gen3d.weights.files import fill, read_config, read_network, read_tensors
from gen3d.weights.folder import Diffusion
from gen3d_zero123.encoders import ClipEncoder, PatchEncoder, PictureEncoder
from gen3d_zero123.epipolar import epipolar_channels
from gen3d_zero123.networks import Networks, Settings
from gen3d_zero123.pose import POSE_WIDTH, PoseDialect, dialect_of

_PROJECTIONS = ("cc_projection", "clip_camera_projection")
_KEYS = ("projection", "proj", "cc_projection")


def load(folder: Path, name: str, pose: PoseDialect | None = None) -> Networks:
    """Read a whole model.

    Args:
        folder: in diffusers' layout: unet, vae, image_encoder, cc_projection (or clip_camera_projection), scheduler.
        name: what the recipe calls it; one with "stable" in it has the "polar" pose, if nothing was said when it was
            fetched or added.
        pose: the dialect of its pose vector, whatever the folder and the name tell.

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
    said = cast("PoseDialect | None", places.options(name).get("pose"))
    dialect: PoseDialect = pose or stated or said or dialect_of(name)
    width = (unet.config["cross_attention_dim"], encoder.width + POSE_WIDTH[dialect])
    if tuple(projection.weight.shape) != width:
        found = "x".join(map(str, projection.weight.shape))
        cause = f"the pose projection is {found}; these networks and the pose {dialect!r} need {width[0]}x{width[1]}"
        raise BadInput(cause, place=str(folder), remedy="set the prior's pose to the one it was trained with")
    settings = Settings(dialect, Diffusion.read(folder / "scheduler"), points)
    return Networks(unet, codec, encoder, projection, settings)


def load_unet(folder: Path) -> UNet2DConditionModel:
    """The denoising network."""
    return read_network(folder, UNet2DConditionModel.from_config)


def load_encoder(folder: Path) -> PictureEncoder:
    """A CLIP picture tower, or the patch encoder of a small model."""
    config = read_config(folder)
    if config.get("_class_name") == "PatchEncoder":
        return read_network(folder, PatchEncoder.from_config)
    clip_config = CLIPVisionConfig.from_dict(config.get("vision_config", config))
    return ClipEncoder(read_network(folder, lambda _: CLIPVisionModelWithProjection(clip_config)))


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


def _check_channels(unet: UNet2DConditionModel, codec: Codec, points: int, folder: Path) -> None:
    have, want = unet.config["in_channels"], 2 * codec.channels + epipolar_channels(points)
    if have != want:
        cause = f"conv_in has {have} input channels; a Zero-1-to-3 has {want}: noisy latent and input picture"
        remedy = "a plain Stable Diffusion model cannot be used here; give view-conditioned weights such as zero123-xl"
        raise BadInput(cause, place=str(folder), remedy=remedy)
