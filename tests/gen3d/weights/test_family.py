"""Which files of a repository are needed, by listings of published ones."""

from pathlib import Path

import pytest

from gen3d.errors import BadInput, Unavailable
from gen3d.weights.families import claiming, families
from gen3d.weights.store import Entry
from gen3d_stable_diffusion.family import FAMILY as STABLE_DIFFUSION
from gen3d_zero123.family import FAMILY as ZERO123

UNET = ["unet/config.json", "unet/diffusion_pytorch_model.bin"]
REST = ["vae/config.json", "image_encoder/config.json", "scheduler/scheduler_config.json"]


def variants(part: str, name: str, *kinds: str, suffix: str = "safetensors") -> list[str]:
    return [f"{part}/{name}{f'.{kind}' if kind else ''}.{suffix}" for kind in kinds]


def test_the_average_in_safetensors_is_taken_before_all_else() -> None:
    files = [*UNET, *REST, "clip_camera_projection/config.json", "README.md", "unet/model.fp16.index.json"]
    files += variants("unet", "diffusion_pytorch_model", "", "fp16", "fp16_ema", "non_ema")
    files += variants("vae", "diffusion_pytorch_model", "fp16", "")
    files += variants("image_encoder", "model", "fp16")
    files += variants("clip_camera_projection", "diffusion_pytorch_model", "", suffix="bin")
    chosen = ZERO123.needed(files, "owner/name")
    assert [file for file in chosen if not file.endswith(".json")] == [
        "unet/diffusion_pytorch_model.fp16_ema.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "image_encoder/model.fp16.safetensors",
        "clip_camera_projection/diffusion_pytorch_model.bin",
    ]
    assert "unet/model.fp16.index.json" not in chosen
    assert claiming(files, "owner/name") is families()["zero123"] is ZERO123


def test_what_other_programs_need_is_left_out() -> None:
    files = ["model_index.json", "v2-1_512-ema-pruned.ckpt", "safety_checker/model.safetensors", "unet/config.json"]
    files += variants("unet", "diffusion_pytorch_model", "", "non_ema")
    files += ["vae/config.json", *variants("vae", "diffusion_pytorch_model", "")]
    files += ["text_encoder/config.json", "text_encoder/model.safetensors", "text_encoder/flax_model.msgpack"]
    files += [f"tokenizer/{name}" for name in ("vocab.json", "merges.txt", "tokenizer_config.json")]
    files += ["scheduler/scheduler_config.json"]
    chosen = STABLE_DIFFUSION.needed(files, "owner/name")
    extra = {"v2-1_512-ema-pruned.ckpt", "safety_checker/model.safetensors", "text_encoder/flax_model.msgpack"}
    assert set(files) - set(chosen) == extra | {"unet/diffusion_pytorch_model.non_ema.safetensors"}
    more = ["text_encoder_2/config.json", "text_encoder_2/model.safetensors", "tokenizer_2/vocab.json"]
    assert set(more) <= set(STABLE_DIFFUSION.needed([*files, *more], "owner/name"))  # SDXL's
    assert claiming(files, "owner/name") is STABLE_DIFFUSION


def test_what_is_missing_is_named() -> None:
    with pytest.raises(Unavailable, match=r"has no folder cc_projection or clip_camera_projection\n.*it needs unet, "):
        ZERO123.needed([*UNET, *REST, "image_encoder/model.safetensors"], "owner/name")
    with pytest.raises(Unavailable, match="has no weights in image_encoder"):
        ZERO123.needed([*UNET, *REST, "cc_projection/diffusion_pytorch_model.bin"], "owner/name")
    with pytest.raises(BadInput, match=r"is no model of a prior that is installed\n.*--prior"):
        claiming(UNET, "owner/name")


def test_every_published_name_has_a_source_a_size_and_a_licence() -> None:
    names = [name for family in families().values() for name in family.published]
    assert len(names) == len(set(names))
    for family in families().values():
        for about in family.published.values():
            assert about.sources
            assert about.gigabytes > 0
            assert about.licence
    assert ZERO123.options("stable-zero123", {}) == {"pose": "polar"}
    assert ZERO123.options("zero123-xl", {"pose": "polar"}) == {"pose": "polar"}


@pytest.mark.parametrize(
    ("source", "command"), [("owner/name", "fetch mine"), ("/data/zero123", "add mine /data/zero123")]
)
def test_how_weights_are_put_right(source: str, command: str) -> None:
    entry = Entry("mine", "zero123", source, Path("/nowhere"), {})
    assert entry.again == f"gen3d weights {command}"
