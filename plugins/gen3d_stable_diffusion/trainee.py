"""A small text-conditioned diffusion model to be trained: built from a recipe's keys, with its loss."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from gen3d.cameras import Cameras
from gen3d.errors import BadInput
from gen3d.weights.codecs import PixelRearrange, to_latents
from gen3d.weights.pixels import DIFFUSION, HEAD, clean_loss, noised, pixel_unet
from gen3d_stable_diffusion.layout import save
from gen3d_stable_diffusion.networks import VIEW_WIDTH, Networks, view_features
from gen3d_stable_diffusion.text import TextEncoder
from gen3d_stable_diffusion.views import DIRECTIONS, binned
from gen3d_stable_diffusion.vocabulary import word_tokenizer
from gen3d_stable_diffusion.wording import SUFFIX, worded

_BINS = math.radians(45), math.radians(45), math.radians(60)
"""Front, back and overhead, as the prior has them by default."""


class Trainee(nn.Module):
    """A small pixel-space Stable Diffusion with the loss it is trained by.

    No attention at the finest level; the text, pooled, and the camera stand beside the time too, where they reach every
    level. Text encoder and UNet are trained together.

    Args:
        size: side of the pictures, pixels.
        block: side of the pixel blocks that become channels.
        channels: of the UNet's levels, multiples of 32.
        layers: residual blocks a level.
        words: the most words it can know, marks included.
        tokens: the longest text, marks included.
        depth: layers of the text encoder, which is as wide as the UNet's last level.
        seed: of the initial weights.
        drop: probability of each of three drops: text alone, camera alone, both.
        view_words: share of the texts that say in words where the view is.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        block: int = 4,
        channels: tuple[int, ...] = (64, 128, 192),
        layers: int = 1,
        words: int = 512,
        tokens: int = 16,
        depth: int = 2,
        seed: int = 0,
        drop: float = 0.05,
        view_words: float = 0.5,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            codec = PixelRearrange(block)
            self.networks = Networks(_unet(codec, size, channels, layers), codec, DIFFUSION)
            clip = CLIPTextModel(_text_config(channels[-1], words, tokens, depth))
        self.text = TextEncoder(word_tokenizer((), tokens), clip)
        self.drop, self.view_words, self.schedule = drop, view_words, DIFFUSION.schedule()

    @property
    def picture_size(self) -> int:
        """Side of the pictures it is trained on, pixels."""
        return self.networks.picture_size

    def read(self, words: Sequence[str]) -> None:
        """Take the words of the captions as its vocabulary. Raises BadInput where they are too many."""
        known = list(dict.fromkeys([*DIRECTIONS, *words]))
        tokens = int(self.text.clip.config.max_position_embeddings)
        self.text.tokenizer = word_tokenizer(known, tokens)
        count, room = len(self.text.tokenizer), int(self.text.clip.config.vocab_size)
        if count > room:
            raise BadInput(f"{count} words and marks, and there is room for {room}", place="prior.words")

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`networks` (the UNet) and `text` (its encoder)."""
        return {"networks": list(self.networks.parameters()), "text": list(self.text.parameters())}

    def forward(
        self,
        cameras: Cameras,
        images: Float[Tensor, "batch height width 3"],
        captions: Sequence[str],
        rng: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Weighted squared error of the denoised `images` (sRGB in [0, 1]), given what they show and from where."""
        nets = self.networks
        clean = to_latents(nets.codec, images, self.picture_size)
        noisy, t = noised(clean, self.schedule, rng)
        keep_text, keep_view = self._keeps(len(images), rng)
        texts = self._texts(cameras, captions, keep_text, rng)
        view = view_features(cameras) * keep_view[:, None]
        output = nets(noisy, t, self.text(texts), view)
        return clean_loss(output, clean, t, self.schedule)

    def _keeps(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Which samples keep their text, and which their camera."""
        draw = torch.rand(count, generator=rng)
        return draw >= 2 * self.drop, (draw < self.drop) | (draw >= 3 * self.drop)

    def _texts(self, cameras: Cameras, captions: Sequence[str], keep: Tensor, rng: torch.Generator) -> list[str]:
        """The captions, some with their direction, and none where the text is not kept."""
        named = torch.rand(len(captions), generator=rng) < self.view_words
        views = binned(cameras.azimuth, cameras.elevation, *_BINS).argmax(dim=1)
        rows = zip(captions, views.tolist(), named.tolist(), keep.tolist(), strict=True)
        told = ((worded(SUFFIX, text, DIRECTIONS[view]) if say else text, kept) for text, view, say, kept in rows)
        return [text if kept else "" for text, kept in told]

    def save(self, folder: Path, **about: Any) -> None:
        """Write the networks in the diffusers folder layout, replacing the folder at once."""
        save(self.networks, self.text, folder, **about)


def _unet(codec: PixelRearrange, size: int, channels: tuple[int, ...], layers: int) -> UNet2DConditionModel:
    return pixel_unet(
        codec,
        size,
        channels,
        layers,
        beside=0,
        camera=VIEW_WIDTH,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=channels[-1] // HEAD,
    )


def _text_config(width: int, words: int, tokens: int, depth: int) -> CLIPTextConfig:
    marks = word_tokenizer((), tokens)
    return CLIPTextConfig(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=depth,
        num_attention_heads=width // HEAD,
        max_position_embeddings=tokens,
        projection_dim=width,
        hidden_act="gelu",
        pad_token_id=marks.pad_token_id,
        bos_token_id=marks.bos_token_id,
        eos_token_id=marks.eos_token_id,
    )
