"""What a network sees of the input picture through cross-attention: CLIP's one token, or one token a patch."""

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float
from kornia.geometry.transform import resize
from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection

_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class PatchEncoder(ModelMixin, ConfigMixin):
    """A small transformer over the patches of a picture, trained with the network it serves.

    With few training objects, attention to the input picture's parts matters (3DiM, Watson et al. 2022, table 3).

    Args:
        picture_size: side of the pictures, pixels.
        patch: side of a patch, pixels.
        width: length of a token.
        layers: transformer layers.
        heads: attention heads of each.
    """

    @register_to_config
    def __init__(
        self, picture_size: int = 64, patch: int = 8, width: int = 192, layers: int = 2, heads: int = 4
    ) -> None:
        super().__init__()
        self.width = width
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.position = nn.Parameter(torch.zeros(1, (picture_size // patch) ** 2, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens length"]:
        """Tokens of pictures in [-1, 1], row by row."""
        tokens = self.patches(pictures.to(self.position.dtype)).flatten(2).mT + self.position
        for block in self.blocks:
            tokens = block(tokens)
        result: Tensor = self.norm(tokens)
        return result.float()


class ClipEncoder(nn.Module):
    """OpenAI's CLIP as Zero-1-to-3 uses it: its projected picture embedding, not normalised, as one token.

    Args:
        clip: the stock network.
    """

    def __init__(self, clip: CLIPVisionModelWithProjection) -> None:
        super().__init__()
        self.clip = clip
        self.width = int(clip.config.projection_dim)

    def forward(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens length"]:
        """The token of each picture in [-1, 1]."""
        prepared = clip_preprocess(pictures, int(self.clip.config.image_size))
        token: Tensor = self.clip(prepared.to(self.clip.dtype)).image_embeds
        return token[:, None].float()


def clip_preprocess(
    pictures: Float[Tensor, "batch 3 height width"], size: int = 224
) -> Float[Tensor, "batch 3 size size"]:
    """Zero-1-to-3's own picture preparation for CLIP, from [-1, 1]: not that of CLIP's feature extractor.

    Bicubic without antialiasing, corners aligned, no crop (ldm/modules/encoders/modules.py, FrozenCLIPImageEmbedder).
    """
    resized = resize(pictures, (size, size), interpolation="bicubic", align_corners=True, antialias=False)
    mean, std = (resized.new_tensor(values)[:, None, None] for values in (_CLIP_MEAN, _CLIP_STD))
    return ((resized + 1) / 2 - mean) / std


PictureEncoder = PatchEncoder | ClipEncoder
