"""Names and shapes of the whole published checkpoint, without its numbers: nothing missing, nothing left over."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from gen3d.weights.ldm import LdmCheckpoint, unet_config
from gen3d.weights.ldm_names import unet_name
from gen3d_zero123.family import _TEXT, FAMILY, _encoder

GOLDEN = Path(__file__).parents[1] / "golden" / "sjc_zero123"
LDM = json.loads((GOLDEN / "ldm_keys.json").read_text())["keys"]
DIFFUSERS = json.loads((GOLDEN / "diffusers_keys.json").read_text())["keys"]


def shapes(network: Any) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in network.state_dict().items()}


@pytest.fixture(params=["average", "last"])
def checkpoint(request: pytest.FixtureRequest) -> Iterator[LdmCheckpoint]:
    """All tensors on the meta device; with and without the average of the UNet."""
    groups = {name: group for name, group in LDM.items() if request.param == "average" or name != "model_ema."}
    tensors = {name: torch.empty(shape, device="meta") for group in groups.values() for name, shape in group.items()}
    return LdmCheckpoint(Path("105000.ckpt"), tensors)


def test_every_name_of_the_checkpoint_has_its_place(checkpoint: LdmCheckpoint) -> None:
    networks = {"unet": checkpoint.unet(32), "vae": checkpoint.vae(32), "image_encoder": _encoder(checkpoint)}
    for part, network in networks.items():
        assert shapes(network) == DIFFUSERS[part], part
    config = json.loads((GOLDEN / "diffusers_keys.json").read_text())["configs"]
    for part, wanted in config.items():
        have = networks[part].config
        ours = have.to_dict() if part == "image_encoder" else dict(have)
        differ = {key: (ours[key], value) for key, value in wanted.items() if key in ours and plain(ours[key]) != value}
        assert not differ, part
    checkpoint.take("cc_projection.", "weight")
    checkpoint.take("cc_projection.", "bias")
    assert checkpoint.leftovers([_TEXT]) == []
    texts = set(LDM["cond_stage_model.model. (text leftovers)"])
    assert set(checkpoint.leftovers()) == texts
    assert FAMILY.claims(checkpoint.tensors)


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_the_average_is_what_is_read() -> None:
    tensors = {name: torch.empty(shape, device="meta") for group in LDM.values() for name, shape in group.items()}
    checkpoint = LdmCheckpoint(Path("105000.ckpt"), tensors)
    checkpoint.unet(32)
    assert {name for name in LDM["model_ema."] if name.count(".") == 1} - checkpoint.used == {
        "model_ema.decay",
        "model_ema.num_updates",
    }


def test_names_of_stable_diffusion_2() -> None:
    golden = json.loads((GOLDEN / "sd21_unet_keys.json").read_text())
    with torch.device("meta"):
        network = UNet2DConditionModel(**golden["configs"]["unet"])
    assert shapes(network) == golden["keys"]["unet"]


def test_stable_diffusion_2_is_known_by_its_shapes() -> None:
    golden = json.loads((GOLDEN / "sd21_unet_keys.json").read_text())
    ours = {unet_name(name, 2, frozenset({1, 2, 3})): torch.Size(at) for name, at in golden["keys"]["unet"].items()}
    assert ours.keys() == {name.removeprefix("model.diffusion_model.") for name in LDM["model.diffusion_model."]}
    found, wanted = unet_config(ours, 64), golden["configs"]["unet"]
    assert {key: plain(value) for key, value in found.items()}.items() <= wanted.items()
