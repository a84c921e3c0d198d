"""Low-rank changes of a real network, in some rows of a batch."""

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from gen3d.errors import Unsupported
from gen3d.guidance import Adapter, Condition
from gen3d.lora import LoraAdapter, LowRank, applied
from gen3d.part import frozen

BRANCHES = ("unconditional", "conditional", "adapter", "adapter_null")
ROWS = 2


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = UNet2DConditionModel(
            sample_size=4,
            in_channels=4,
            out_channels=4,
            block_out_channels=(8, 16),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=12,
            attention_head_dim=2,
            norm_num_groups=4,
        )
    return frozen(network)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def adapter_of(unet: nn.Module, seed: int = 1) -> LoraAdapter:
    return LoraAdapter(unet, 4, torch.Generator().manual_seed(seed))


def trained(unet: nn.Module) -> LoraAdapter:
    adapter = adapter_of(unet)
    with torch.no_grad():
        for number, parameter in enumerate(adapter.parameters()):
            parameter.add_(0.1 * draw(*parameter.shape, seed=number))
    return adapter


def call(unet: nn.Module, adapter: Adapter | None, branches: tuple[str, ...] = BRANCHES, seed: int = 3) -> list[Tensor]:
    """The same rows for every branch."""
    count = len(branches)
    noisy, context, t = draw(ROWS, 4, 4, 4), draw(ROWS, 3, 12, seed=1), torch.tensor([100, 700])
    condition = Condition({"camera": draw(ROWS, 16, seed=seed)})
    with applied(adapter, branches, condition):
        output = unet(noisy.repeat(count, 1, 1, 1), t.repeat(count), context.repeat(count, 1, 1)).sample
    return list(output.chunk(count))


def test_a_new_adapter_changes_nothing(unet: nn.Module) -> None:
    plain = call(unet, None, BRANCHES[:2])
    for told in call(unet, adapter_of(unet)):
        torch.testing.assert_close(told, plain[0], rtol=0, atol=1e-6)


def test_only_the_adapters_rows_change(unet: nn.Module) -> None:
    plain, adapter = call(unet, None, BRANCHES[:2])[0], trained(unet)
    unconditional, conditional, told, null = call(unet, adapter)
    torch.testing.assert_close(unconditional, plain, rtol=0, atol=1e-6)
    torch.testing.assert_close(conditional, plain, rtol=0, atol=1e-6)
    for changed in (told, null):
        assert (changed - plain).abs().amax(dim=(1, 2, 3)).gt(1e-3).all()
    torch.testing.assert_close(call(unet, adapter, ("adapter",))[0], told, rtol=0, atol=1e-5)


def test_only_the_branch_with_a_camera_sees_it(unet: nn.Module) -> None:
    adapter = trained(unet)
    here, there = (call(unet, adapter, seed=seed) for seed in (3, 4))
    gaps = [(one - other).abs().max().item() for one, other in zip(here, there, strict=True)]
    assert gaps[2] > 1e-4
    assert max(gaps[0], gaps[1], gaps[3]) < 1e-6


def test_a_layer_is_changed_by_the_product_of_its_factors() -> None:
    layer = nn.Linear(6, 5)
    change = LowRank(layer, 2, torch.Generator().manual_seed(0))
    assert change.down.std().item() == pytest.approx(0.5, rel=0.5)
    with torch.no_grad():
        change.up.copy_(draw(5, 2))
    inputs = draw(3, 7, 6)
    torch.testing.assert_close(change(inputs), inputs @ (change.up @ change.down).T)


def test_the_gradient_is_the_adapters_alone(unet: nn.Module) -> None:
    adapter = trained(unet)
    call(unet, adapter, ("adapter",))[0].square().sum().backward()
    for name, group in adapter.param_groups().items():
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in group), name
    assert all(p.grad is None for p in unet.parameters())


def test_without_an_adapter_there_is_no_gradient(unet: nn.Module) -> None:
    assert not call(unet, None, ("conditional",))[0].requires_grad


def test_a_new_adapter_can_learn(unet: nn.Module) -> None:
    """Its second factors, and the camera's last layer, have a gradient from the start."""
    adapter = adapter_of(unet)
    call(unet, adapter, ("adapter",))[0].square().sum().backward()
    assert all(change.up.grad.any() for change in adapter.changes)
    assert adapter.camera.out.grad.any()


def test_nothing_stays_on_the_network(unet: nn.Module) -> None:
    plain, names = call(unet, None, ("conditional",))[0], list(unet.state_dict())
    adapter = trained(unet)
    with pytest.raises(RuntimeError, match="in the middle"), adapter.over(("adapter",), draw(ROWS, 16)):
        raise RuntimeError("in the middle")
    assert torch.equal(call(unet, None, ("conditional",))[0], plain)
    assert list(unet.state_dict()) == names
    assert not any(module._forward_hooks for module in unet.modules())


def test_two_adapters_share_a_network(unet: nn.Module) -> None:
    one, other = trained(unet), adapter_of(unet)
    first = call(unet, one, ("adapter",))[0]
    call(unet, other, ("adapter",))
    assert torch.equal(call(unet, one, ("adapter",))[0], first)


def test_a_checkpoint_has_the_adapter_and_nothing_of_the_network(unet: nn.Module) -> None:
    adapter = trained(unet)
    sizes = sum(tensor.numel() for tensor in adapter.trained_state().values())
    assert sizes == sum(p.numel() for p in adapter.parameters()) < sum(p.numel() for p in unet.parameters()) / 2
    other = adapter_of(unet, seed=5)
    other.load_trained_state(adapter.trained_state())
    for here, there in zip(call(unet, adapter), call(unet, other), strict=True):
        assert torch.equal(here, there)


def test_the_initial_weights_are_those_of_the_generator(unet: nn.Module) -> None:
    first, again, another = (adapter_of(unet, seed).trained_state() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["lora.0"], another["lora.0"])


def test_a_network_without_attention_is_refused() -> None:
    with pytest.raises(Unsupported, match="a Sequential has no attention layers"):
        LoraAdapter(nn.Sequential(nn.Linear(3, 3)), 4, torch.Generator())


def test_an_adapters_branch_needs_an_adapter(unet: nn.Module) -> None:
    with pytest.raises(Unsupported, match="need a LoraAdapter: adapter"):
        call(unet, None, ("adapter",))


def test_rank_4_of_stable_diffusion_is_as_large_as_published() -> None:
    """0.80 million numbers in 32 attention layers, and 1.66 million for the camera."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            sample_size=64, cross_attention_dim=768, block_out_channels=(320, 640, 1280, 1280), attention_head_dim=8
        )
    adapter = adapter_of(unet)
    sizes = {name: sum(p.numel() for p in group) for name, group in adapter.param_groups().items()}
    assert len(adapter.changes) == 4 * 32
    assert sizes["lora"] == pytest.approx(0.80e6, rel=0.01)
    assert sizes["camera"] == pytest.approx(1.66e6, rel=0.01)
