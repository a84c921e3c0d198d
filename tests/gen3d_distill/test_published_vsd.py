"""VSD against the numbers of threestudio and of ProlificDreamer: gradients, and the loss of the particle network."""

import pytest
import torch
from torch import Tensor, nn

from gen3d.diffusion import PredictionType
from gen3d.guidance import Condition, Prior
from gen3d_distill.sds import SDS
from gen3d_distill.vsd import VSD
from gen3d_optimizers.adam import AdamW
from network_prior import Case, NetworkAdapter, NetworkPrior, read, toy_network


class Published(NetworkAdapter):
    """g(x, t, e, p) = 0.8 f(x, t, e) + p P, with the camera p or zeros; its output is noise or a velocity."""

    def __init__(self, mixing: Tensor, prediction: PredictionType) -> None:
        super().__init__()
        self.mixing, self.prediction = mixing, prediction
        self.constant = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def noise(self, prior: NetworkPrior, noisy: Tensor, t: Tensor, condition: Condition, branch: str) -> Tensor:
        told = condition.tensors["camera"] * (branch == "adapter")
        own = prior.network(noisy, t, condition.tensors["text"])
        output = 0.8 * own + (told @ self.mixing)[:, :, None, None] + self.constant
        return prior.schedule.to_epsilon(output, noisy, t, self.prediction)


@pytest.fixture(scope="module")
def vsd() -> dict[str, Tensor]:
    return read("sds_vsd/vsd.npz")


@pytest.fixture(scope="module")
def case(vsd: dict[str, Tensor]) -> Case:
    conditional, unconditional = vsd["emb_view_dependent"].split(2)
    text = vsd["emb_base"].expand(2, -1)
    rows = {"conditional": conditional, "unconditional": unconditional, "text": text, "camera": vsd["camera"]}
    prior = NetworkPrior(vsd["alphas_cumprod"], toy_network(vsd["toy_M"]))
    return Case(prior, Condition(rows), vsd["latents"], vsd["noise"], vsd["t"])


KINDS = [("v_prediction", "phiv", "v"), ("epsilon", "phieps", "eps")]
kinds = pytest.mark.parametrize(("prediction", "threestudios", "prolificdreamers"), KINDS, ids=["velocity", "noise"])


def objective(vsd: dict[str, Tensor], prediction: PredictionType, camera_scale: float = 1.0) -> VSD:
    loss = "velocity" if prediction == "v_prediction" else "noise"
    result = VSD(AdamW(), cfg_scale=7.5, camera_scale=camera_scale, loss=loss)
    result.adapter = Published(vsd["toy_P"], prediction)
    return result


@kinds
def test_the_gradient(
    case: Case, vsd: dict[str, Tensor], prediction: PredictionType, threestudios: str, prolificdreamers: str
) -> None:
    with torch.no_grad():
        gradient = case.gradient(objective(vsd, prediction))
        half = case.gradient(objective(vsd, prediction, camera_scale=0.5))
    torch.testing.assert_close(gradient, vsd[f"ts_grad_{threestudios}"], rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(gradient / 2, vsd[f"ts_latents_grad_{threestudios}"], rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(half, vsd[f"ts_grad_{threestudios}_sphi0p5"], rtol=1e-11, atol=1e-11)
    # ProlificDreamer has one sample a batch.
    torch.testing.assert_close(gradient[:1], vsd[f"pd_latents_grad_{prolificdreamers}"], rtol=1e-11, atol=1e-11)


def test_with_the_noise_for_the_particle_network_it_is_prolificdreamers_sds(case: Case, vsd: dict[str, Tensor]) -> None:
    torch.testing.assert_close(case.gradient(SDS(7.5), [0]), vsd["pd_latents_grad_sds"], rtol=1e-11, atol=1e-11)


@kinds
@pytest.mark.parametrize("dropped", [False, True], ids=["camera", "dropped"])
def test_the_loss_of_the_particle_network(
    case: Case,
    vsd: dict[str, Tensor],
    prediction: PredictionType,
    threestudios: str,
    prolificdreamers: str,
    dropped: bool,
) -> None:
    """Its value, and its gradient by a constant added to the network's output."""
    learner = objective(vsd, prediction)
    adapter = learner.adapter
    assert isinstance(adapter, Published)

    def loss(rows: slice) -> Tensor:
        arguments = (case.latents[rows], vsd["lora_t"][rows], case.condition[rows], vsd["lora_noise"][rows])
        prior: Prior = case.prior
        return learner.error(prior, *arguments, dropped=dropped)

    key = f"{threestudios}_dropped" if dropped else threestudios
    both = loss(slice(2))
    torch.testing.assert_close(both, vsd[f"ts_loss_lora_{key}"], rtol=1e-11, atol=1e-11)
    (gradient,) = torch.autograd.grad(both, adapter.constant)
    torch.testing.assert_close(gradient[None], vsd[f"ts_lora_outgrad_sum_{key}"], rtol=1e-10, atol=1e-10)
    if not dropped:
        torch.testing.assert_close(loss(slice(1)), vsd[f"pd_loss_unet_{prolificdreamers}"], rtol=1e-11, atol=1e-11)
