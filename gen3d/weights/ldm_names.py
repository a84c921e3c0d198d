"""What LDM, and OpenAI's and OpenCLIP's CLIP, call the tensors of the stock classes' networks.

The names of the original code (Rombach et al. 2022, `ldm/modules`), by which one-file checkpoints are written.
"""

import re

_INNER = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_OUTER = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_VAE = (
    (r"^(\w+)\.mid_block\.resnets\.0", r"\1.mid.block_1"),
    (r"^(\w+)\.mid_block\.resnets\.1", r"\1.mid.block_2"),
    (r"^(\w+)\.mid_block\.attentions\.0", r"\1.mid.attn_1"),
    (r"attn_1\.group_norm", "attn_1.norm"),
    (r"attn_1\.to_(q|k|v)", r"attn_1.\1"),
    (r"attn_1\.to_out\.0", "attn_1.proj_out"),
    (r"conv_norm_out", "norm_out"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block."),
    (r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample"),
    (r"up_blocks\.(\d+)\.resnets\.", r"up.\1.block."),
    (r"up_blocks\.(\d+)\.upsamplers\.0", r"up.\1.upsample"),
)
_CLIP = (
    (r"^(vision_model\.|text_model\.)?encoder\.layers\.", "transformer.resblocks."),
    (r"self_attn\.out_proj", "attn.out_proj"),
    (r"layer_norm(\d)", r"ln_\1"),
    (r"mlp\.fc1", "mlp.c_fc"),
    (r"mlp\.fc2", "mlp.c_proj"),
    (r"^(vision_model\.)?embeddings\.class_embedding", "class_embedding"),
    (r"^(vision_model\.)?embeddings\.patch_embedding", "conv1"),
    (r"^(vision_model\.)?pre_layrnorm", "ln_pre"),
    (r"^(vision_model\.)?post_layernorm", "ln_post"),
    (r"^(text_model\.)?embeddings\.token_embedding", "token_embedding"),
    (r"^(text_model\.)?final_layer_norm", "ln_final"),
    (r"^(vision_model\.|text_model\.)?embeddings\.position_embedding\.weight", "positional_embedding"),
)


def unet_name(name: str, layers: int, attentive: frozenset[int]) -> str:
    """A UNet's tensor, as LDM calls it.

    Args:
        name: in diffusers' UNet2DConditionModel.
        layers: residual blocks a level of the way down; there is one more on the way up.
        attentive: the up blocks that attend: their upsampling comes third, after the attention.
    """
    found = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name)
    if found:
        way, kind, rest = found[1], found[3], found[5]
        level, block = int(found[2]), int(found[4])
        first = 1 + level * (layers + 1) if way == "down" else level * (layers + 1)
        if kind == "downsamplers":
            return f"input_blocks.{first + layers}.0.{rest.replace('conv', 'op')}"
        if kind == "upsamplers":
            return f"output_blocks.{first + layers}.{2 if level in attentive else 1}.{rest}"
        return f"{'input' if way == 'down' else 'output'}_blocks.{first + block}.{_block(kind, rest)}"
    head = next(head for head in _OUTER if name.startswith(f"{head}."))
    rest = name[len(head) + 1 :]
    return f"{_OUTER[head]}.{_inner(rest) if 'resnets' in head else rest}"


def _block(kind: str, rest: str) -> str:
    return f"0.{_inner(rest)}" if kind == "resnets" else f"1.{rest}"


def _inner(rest: str) -> str:
    layer, _, kind = rest.partition(".")
    return f"{_INNER[layer]}.{kind}"


def vae_name(name: str, levels: int) -> str:
    """A tensor of diffusers' AutoencoderKL, as LDM calls it; its levels up are counted from the finest."""
    for pattern, new in _VAE:
        name = re.sub(pattern, new, name)
    return re.sub(r"up\.(\d+)", lambda found: f"up.{levels - 1 - int(found[1])}", name)


def clip_name(name: str) -> str:
    """A tensor of one of transformers' CLIP towers, as OpenAI and OpenCLIP call it.

    Queries, keys and values stand in one there: `...self_attn.q_proj.bias` becomes `...attn.in_proj_bias`.
    """
    for pattern, new in _CLIP:
        name = re.sub(pattern, new, name)
    return re.sub(r"self_attn\.[qkv]_proj\.(\w+)", r"attn.in_proj_\1", name)


def ema_name(name: str) -> str:
    """The UNet's tensor `name` in the average that LDM keeps: without dots, behind a prefix that has one."""
    return f"model_ema.{f'diffusion_model.{name}'.replace('.', '')}"
