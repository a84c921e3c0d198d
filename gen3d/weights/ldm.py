"""Checkpoints of one file, in the layout of the original LDM code: which networks are in it, by their stock classes.

The sizes of a network are read off its tensors; what they do not tell is what all published ones have in common.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from gen3d.errors import BadInput
from gen3d.weights.ldm_names import clip_name, ema_name, unet_name, vae_name
from gen3d.weights.tensor_file import read_tensor_file

UNET, EMA, VAE = "model.diffusion_model.", "model_ema.", "first_stage_model."
"""What the names of these parts begin with."""

_HEADS, _HEAD = 8, 64
"""Heads of every attention in Stable Diffusion 1.x; width of a head in 2.x, and in all of CLIP."""

_BUFFERS = re.compile(r"[a-z0-9_]+|model_ema\.(decay|num_updates)|cond_stage_model\.(mean|std|logit_scale)")
"""The noise schedule, and what else no network has."""

_SHOWN = 4


class LdmCheckpoint:
    """The tensors of one file, and which of them have been used.

    Args:
        path: of the file, for messages.
        tensors: of the file, by name.
    """

    def __init__(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        self.path, self.tensors = path, tensors
        self.used: set[str] = set()

    @classmethod
    def read(cls, path: Path) -> "LdmCheckpoint":
        """A .ckpt or .safetensors file. Raises Unavailable or BadInput, as `read_tensor_file`."""
        result = cls(path, read_tensor_file(path))
        if f"{UNET}input_blocks.0.0.weight" not in result.tensors:
            remedy = (
                "it is the file of a model, such as 105000.ckpt; of one network, give the folder in diffusers' layout"
            )
            raise BadInput(f"is no checkpoint in LDM's layout: no {UNET}*", place=str(path), remedy=remedy)
        return result

    @property
    def in_channels(self) -> int:
        """Of the UNet's first convolution: the model's signature."""
        return int(self.tensors[f"{UNET}input_blocks.0.0.weight"].shape[1])

    def take(self, prefix: str, name: str) -> Tensor:
        """A tensor, which then counts as used. Raises KeyError."""
        result = self.tensors[prefix + name]
        self.used.add(prefix + name)
        return result

    def leftovers(self, known: Iterable[str] = ()) -> list[str]:
        """Names of tensors that no network has used, but for those that begin with a `known` prefix."""
        skipped = tuple(known)
        left = (name for name in self.tensors if name not in self.used and not _BUFFERS.fullmatch(name))
        return [name for name in left if not (skipped and name.startswith(skipped))]

    def unet(self, size: int) -> UNet2DConditionModel:
        """The denoising network; the average of its training's weights where the file holds that.

        Args:
            size: side of its latents.
        """
        shapes = self._shapes(UNET)
        if "label_emb.0.0.weight" in shapes:
            remedy = "use Stable Diffusion 1.x or 2.x; of SDXL, the folder in diffusers' layout"
            raise BadInput("its UNet is told more than time and text", place=str(self.path), remedy=remedy)
        config = unet_config(shapes, size)
        attentive = frozenset(i for i, kind in enumerate(config["up_block_types"]) if kind.startswith("Cross"))
        ema = any(name.startswith(f"{EMA}diffusion_model") for name in self.tensors)

        def read(name: str) -> Tensor:
            ours = unet_name(name, config["layers_per_block"], attentive)
            if not ema:
                return self.take(UNET, ours)
            self.used.add(UNET + ours)  # the last step's, which the average stands for
            return self.take("", ema_name(ours))

        return self.network(lambda: UNet2DConditionModel(**config), read)

    def vae(self, size: int) -> AutoencoderKL:
        """The autoencoder.

        Args:
            size: side of its latents.
        """
        config = vae_config(self._shapes(VAE), size)
        levels = len(config["block_out_channels"])

        def read(name: str) -> Tensor:
            tensor = self.take(VAE, vae_name(name, levels))
            return tensor.flatten(1) if "attentions" in name and tensor.ndim > 1 else tensor

        return self.network(lambda: AutoencoderKL(**config), read)

    def clip(self, make: Callable[[], nn.Module], prefix: str) -> Any:
        """One of CLIP's towers, by OpenAI's or OpenCLIP's names, of the stock class that `make` builds."""

        def read(name: str) -> Tensor:
            if name == "visual_projection.weight":
                return self.take(prefix, "proj").T
            tensor = self.take(prefix, clip_name(name))
            part = re.search(r"self_attn\.([qkv])_proj", name)
            return tensor.chunk(3)["qkv".index(part[1])] if part else tensor

        return self.network(make, read)

    def network(self, make: Callable[[], nn.Module], read: Callable[[str], Tensor]) -> Any:
        """A network with the file's tensors, in the file's precision.

        Args:
            make: builds it; its tensors' storage is not used.
            read: the tensor of a name in the network's state; raises KeyError where the file has none.

        Raises:
            BadInput: tensors are missing or misshapen.
        """
        with torch.device("meta"):
            result = make()
        state, missing = {}, []
        for name, wanted in result.state_dict().items():
            try:
                state[name] = read(name).contiguous()
            except KeyError as error:
                missing.append(str(error.args[0]))
                continue
            if state[name].shape != wanted.shape:
                have, want = ("x".join(map(str, shape)) for shape in (state[name].shape, wanted.shape))
                remedy = "it is of another model, or of one whose sizes are unusual"
                raise BadInput(f"{name} is {have}, not {want}", place=str(self.path), remedy=remedy)
        if missing:
            cause = f"lacks {len(missing)} tensors of its {type(result).__name__}: {some(missing)}"
            raise BadInput(cause, place=str(self.path), remedy="fetch it again, or give the whole checkpoint")
        result.load_state_dict(state, assign=True)
        return result

    def _shapes(self, prefix: str) -> dict[str, torch.Size]:
        start = len(prefix)
        shapes = {name[start:]: value.shape for name, value in self.tensors.items() if name.startswith(prefix)}
        if not shapes:
            raise BadInput(f"has no {prefix}*", place=str(self.path), remedy="give the whole checkpoint")
        return _Shapes(shapes, prefix, self.path)


class _Shapes(dict[str, torch.Size]):
    """Shapes by name, of which a missing one is the file's fault."""

    def __init__(self, shapes: Mapping[str, torch.Size], prefix: str, path: Path) -> None:
        super().__init__(shapes)
        self.prefix, self.path = prefix, path

    def __missing__(self, name: str) -> torch.Size:
        remedy = "fetch it again, or give the whole checkpoint"
        raise BadInput(f"lacks the tensor {self.prefix}{name}", place=str(self.path), remedy=remedy)


def unet_config(shapes: Mapping[str, torch.Size], size: int) -> dict[str, Any]:
    """Arguments of a UNet2DConditionModel, from the shapes of LDM's tensors and the side of its latents."""
    levels: list[int] = []
    attentive: list[bool] = []
    layers, number, new = 0, 1, True
    while f"input_blocks.{number}.0.op.weight" in shapes or f"input_blocks.{number}.0.in_layers.2.weight" in shapes:
        if f"input_blocks.{number}.0.op.weight" in shapes:
            new = True
        else:
            if new:
                levels.append(shapes[f"input_blocks.{number}.0.in_layers.2.weight"][0])
                attentive.append(f"input_blocks.{number}.1.proj_in.weight" in shapes)
            layers, new = layers + (len(levels) == 1), False
        number += 1
    attention = "middle_block.1."
    linear = len(shapes[f"{attention}proj_in.weight"]) == 2  # noqa: PLR2004 (a matrix; else a 1x1 convolution)
    return {
        "sample_size": size,
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "out_channels": shapes["out.2.weight"][0],
        "block_out_channels": tuple(levels),
        "layers_per_block": layers,
        "down_block_types": tuple("CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attentive),
        "up_block_types": tuple("CrossAttnUpBlock2D" if one else "UpBlock2D" for one in reversed(attentive)),
        "cross_attention_dim": shapes[f"{attention}transformer_blocks.0.attn2.to_k.weight"][1],
        "attention_head_dim": tuple(width // _HEAD for width in levels) if linear else _HEADS,
        "use_linear_projection": linear,
    }


def vae_config(shapes: Mapping[str, torch.Size], size: int) -> dict[str, Any]:
    """Arguments of an AutoencoderKL, from the shapes of LDM's tensors and the side of its latents."""
    levels = 1 + max(int(found[1]) for name in shapes if (found := re.match(r"encoder\.down\.(\d+)\.", name)))
    layers = sum(bool(re.fullmatch(r"encoder\.down\.0\.block\.\d+\.conv1\.weight", name)) for name in shapes)
    return {
        "sample_size": size * 2 ** (levels - 1),
        "latent_channels": shapes["post_quant_conv.weight"][0],
        "block_out_channels": tuple(shapes[f"encoder.down.{i}.block.0.conv1.weight"][0] for i in range(levels)),
        "layers_per_block": layers,
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "norm_num_groups": 32,
        "scaling_factor": 0.18215,
    }


def clip_sizes(tensors: Mapping[str, Tensor], prefix: str, width: int) -> dict[str, int]:
    """Width, depth and heads of a tower with OpenAI's names, as its stock configuration calls them."""
    blocks = re.compile(re.escape(prefix) + r"transformer\.resblocks\.(\d+)\.")
    layers = 1 + max((int(found[1]) for name in tensors if (found := blocks.match(name))), default=-1)
    wide = tensors.get(f"{prefix}transformer.resblocks.0.mlp.c_fc.weight")
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": max(1, width // _HEAD)}
    return sizes | {"intermediate_size": 4 * width if wide is None else len(wide)}


def some(names: list[str]) -> str:
    """The first few of many names."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
