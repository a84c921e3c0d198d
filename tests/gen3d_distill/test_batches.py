"""T17: the gradient of a view depends on no other view of its batch."""

import pytest
import torch
from torch import Tensor

from gen3d.guidance import Condition, Objective
from gen3d_distill.asd import ASD
from gen3d_distill.csd import CSD
from gen3d_distill.ism import ISM
from gen3d_distill.nfsd import NFSD
from gen3d_distill.sdi import SDI
from gen3d_distill.sds import SDS
from gen3d_distill.sjc import SJC
from gen3d_distill.vsd import VSD
from gen3d_optimizers.adam import AdamW
from network_prior import Case, NetworkAdapter, NetworkPrior, read, toy_network

NAMES = ("conditional", "unconditional", "negative", "adapter", "adapter_null", "perp_neg_0", "perp_neg_1")


def with_network(camera_scale: float) -> VSD:
    objective = VSD(AdamW(), camera_scale=camera_scale)
    objective.adapter = NetworkAdapter()
    return objective


OBJECTIVES = {
    "sds": SDS(),
    "sjc": SJC(),
    "sjc_plain": SJC(variance_reduced=False),
    "vsd": with_network(1.0),
    "vsd_entropic": with_network(0.5),
    "csd": CSD(negative=-0.5, noise=-0.1),
    "nfsd": NFSD(),
    "asd": ASD(),
    "ism": ISM(),
    "sdi": SDI(),
}


@pytest.fixture(scope="module", params=["plain", "perp_neg"])
def case(request: pytest.FixtureRequest) -> Case:
    arrays = read("sds_vsd/sds.npz")
    draw = torch.Generator().manual_seed(0)
    rows = {name: torch.randn(3, 4, generator=draw, dtype=torch.float64) for name in NAMES}
    if request.param == "perp_neg":
        rows["perp_neg"] = arrays["ts_perpneg_weights"]
    prior = NetworkPrior(arrays["alphas_cumprod"], toy_network(arrays["toy_M"]))
    return Case(prior, Condition(rows), arrays["latents"], arrays["noise"], arrays["t"])


def others_changed(case: Case, row: int) -> Case:
    """The same row among others."""
    keep = torch.arange(3) == row

    def change(values: Tensor) -> Tensor:
        return torch.where(keep.view(-1, *[1] * (values.dim() - 1)), values, -0.5 * values.flip(0))

    condition = Condition({name: change(rows) for name, rows in case.condition.tensors.items()})
    t = torch.where(keep, case.t, (case.t + 311) % 960 + 20)
    return Case(case.prior, condition, change(case.latents), change(case.noise), t)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_t17_a_view_does_not_depend_on_the_others(case: Case, objective: Objective) -> None:
    with torch.no_grad():
        together = case.gradient(objective)
        for row in range(3):
            told = others_changed(case, row).gradient(objective)
            torch.testing.assert_close(told[row], together[row], rtol=1e-11, atol=1e-11)
            assert (told - together).abs().amax(dim=(1, 2, 3)).gt(1e-3).sum() == 2


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in {"asd", "sdi"}])  # they draw by the row
def test_t17_order_and_batch_size_do_not_matter(case: Case, name: str) -> None:
    with torch.no_grad():
        together = case.gradient(OBJECTIVES[name])
        for rows in ([2, 0, 1], [0], [1], [2]):
            told = case.gradient(OBJECTIVES[name], rows)
            torch.testing.assert_close(told, together[rows], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("scale", [1.0, 1.5])
@pytest.mark.parametrize("perp_neg", [False, True])
def test_unguided_only_the_conditional_branch_is_asked_for(scale: float, perp_neg: bool) -> None:
    """A network that has no other embedding would fail if it were asked for more."""
    rng = torch.Generator().manual_seed(0)
    network = toy_network(torch.randn(4, 4, generator=rng, dtype=torch.float64))
    latents, noise = torch.randn(2, 2, 4, 8, 8, generator=rng, dtype=torch.float64)
    known = {"conditional": torch.randn(2, 4, generator=rng, dtype=torch.float64)}
    if perp_neg:
        known["perp_neg"] = torch.zeros(2, 2, dtype=torch.float64)
    prior = NetworkPrior(torch.linspace(0.99, 0.01, 1000, dtype=torch.float64), network)
    case = Case(prior, Condition(known), latents, noise, torch.tensor([200, 700]))
    if scale == 1 and not perp_neg:
        noisy = prior.schedule.add_noise(latents, noise, case.t)
        expected = network(noisy, case.t, known["conditional"]) - noise
        torch.testing.assert_close(case.gradient(SJC(cfg_scale=scale)), expected)
    else:
        with pytest.raises(KeyError, match="unconditional"):
            case.gradient(SJC(cfg_scale=scale))
