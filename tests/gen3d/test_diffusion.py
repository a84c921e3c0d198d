"""The arithmetic of diffusion, against what published codes gave on the same inputs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gen3d.diffusion import NoiseSchedule, PredictionType, classifier_free, perp_neg

GOLDEN = Path(__file__).parents[1] / "golden" / "sds_vsd"


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "schedule.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture(scope="module")
def pixels(golden: dict[str, Tensor]) -> dict[str, Tensor]:
    """The conversions' arrays as batches of one-pixel latents."""
    return {name[5:]: value[..., None, None] for name, value in golden.items() if name.startswith("conv_")}


@pytest.fixture(scope="module")
def schedule(golden: dict[str, Tensor]) -> NoiseSchedule:
    return NoiseSchedule(golden["alphas_cumprod_f64"])


def test_stable_diffusions_schedule(golden: dict[str, Tensor]) -> None:
    alpha_bar = NoiseSchedule.scaled_linear().alpha_bar
    assert alpha_bar.dtype == torch.float32
    torch.testing.assert_close(alpha_bar.double(), golden["alphas_cumprod_f64"], rtol=0, atol=3e-8)
    torch.testing.assert_close(alpha_bar, golden["alphas_cumprod_f32"], rtol=0, atol=5e-7)


def test_amplitudes_are_no_variances() -> None:
    schedule = NoiseSchedule.scaled_linear()
    t = torch.tensor([20, 100, 250, 500, 750, 980])
    alpha, sigma = schedule.alpha(t).flatten(), schedule.sigma(t).flatten()
    assert alpha.tolist() == pytest.approx([0.9906, 0.9456, 0.8208, 0.5257, 0.2370, 0.0764], abs=5e-5)
    assert sigma.tolist() == pytest.approx([0.1367, 0.3252, 0.5711, 0.8507, 0.9715, 0.9971], abs=5e-5)
    assert (alpha.square() + sigma.square()).tolist() == pytest.approx([1.0] * 6)
    assert len(schedule) == 1000


def test_noising_and_velocity_are_the_published_ones(schedule: NoiseSchedule, pixels: dict[str, Tensor]) -> None:
    t = pixels["t"].flatten()
    noisy = schedule.add_noise(pixels["x0"], pixels["eps"], t)
    torch.testing.assert_close(noisy, pixels["xt"], rtol=1e-12, atol=1e-12)
    velocity = schedule.velocity(pixels["x0"], pixels["eps"], t)
    torch.testing.assert_close(velocity, pixels["v_from_x0_eps"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("prediction", "key"), [("epsilon", "eps"), ("v_prediction", "v"), ("sample", "sample")])
def test_every_kind_of_output_gives_the_published_clean_estimate(
    schedule: NoiseSchedule, pixels: dict[str, Tensor], prediction: PredictionType, key: str
) -> None:
    t = pixels["t"].flatten()
    epsilon = schedule.to_epsilon(pixels["model_out"], pixels["xt"], t, prediction)
    clean = schedule.to_clean(epsilon, pixels["xt"], t)
    # t = 0 divides by a sigma of 0.03 and t = 999 by an alpha of 0.07: a few digits of float64 go.
    torch.testing.assert_close(clean, pixels[f"pred_x0_if_out_is_{key}"], rtol=1e-11, atol=1e-11)


def test_noise_from_velocity_is_prolificdreamers(schedule: NoiseSchedule, pixels: dict[str, Tensor]) -> None:
    epsilon = schedule.to_epsilon(pixels["model_out"], pixels["xt"], pixels["t"].flatten(), "v_prediction")
    torch.testing.assert_close(epsilon, pixels["eps_from_v_pd"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_round_trip(schedule: NoiseSchedule, pixels: dict[str, Tensor], prediction: PredictionType) -> None:
    """A perfect network, whatever it predicts, gives back both the noise and the picture."""
    clean, noise, t = pixels["x0"], pixels["eps"], pixels["t"].flatten()
    noisy = schedule.add_noise(clean, noise, t)
    outputs = {"epsilon": noise, "v_prediction": schedule.velocity(clean, noise, t), "sample": clean}
    epsilon = schedule.to_epsilon(outputs[prediction], noisy, t, prediction)
    torch.testing.assert_close(epsilon, noise, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(schedule.to_clean(epsilon, noisy, t), clean, rtol=1e-11, atol=1e-11)


def test_guidance_scale_one_is_unguided() -> None:
    unconditional, conditional = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -2.0])
    assert torch.equal(classifier_free(unconditional, conditional, 1.0), conditional)
    assert torch.equal(classifier_free(unconditional, conditional, 0.0), unconditional)
    assert classifier_free(unconditional, conditional, 7.5).tolist() == [16.0, -28.0]


@pytest.fixture(scope="module")
def distillation() -> dict[str, Tensor]:
    with np.load(GOLDEN / "sds.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def toy_network(arrays: dict[str, Tensor], x: Tensor, t: Tensor, embedding: Tensor) -> Tensor:
    """The network that the reference numbers were made with."""
    i, j = torch.arange(8, dtype=x.dtype)[:, None], torch.arange(8, dtype=x.dtype)
    t, e = t[:, None, None, None].to(x), embedding[:, :, None, None]
    mixed = torch.einsum("cd,bdij->bcij", arrays["toy_M"], x)
    return (0.3 + 0.0005 * t) * x + mixed + torch.tanh(e * x) + 0.5 * e + 0.2 * torch.cos(0.01 * t + i - 0.5 * j)


def perp_neg_gradient(arrays: dict[str, Tensor], rows: list[int]) -> Tensor:
    """The published SDS gradient under Perp-Neg, of these samples as one batch."""
    schedule = NoiseSchedule(arrays["alphas_cumprod"])
    t, noise = arrays["t"][rows], arrays["noise"][rows]
    noisy = schedule.add_noise(arrays["latents"][rows], noise, t)
    positive, null, negative = arrays["ts_perpneg_embeddings"].split([3, 3, 6])
    first, second = negative[0::2], negative[1::2]
    out = [toy_network(arrays, noisy, t, embedding[rows]) for embedding in (null, positive, first, second)]
    guided = perp_neg(out[0], out[1], out[2:], arrays["ts_perpneg_weights"][rows], 100.0)
    return schedule.sigma(t).square() * (guided - noise)


def test_perp_neg_is_the_published_one_sample_by_sample(distillation: dict[str, Tensor]) -> None:
    gradient = perp_neg_gradient(distillation, [0, 1, 2])
    torch.testing.assert_close(gradient, distillation["ts_perpneg_grad_per_sample"], rtol=1e-11, atol=1e-11)


def test_perp_neg_has_no_mixed_up_batch(distillation: dict[str, Tensor]) -> None:
    """threestudio pairs negatives with other samples' latents: every row of that is off by far."""
    wrong = distillation["ts_perpneg_grad_b3_KNOWN_WRONG"]
    gradient = perp_neg_gradient(distillation, [0, 1, 2])
    assert ((gradient - wrong).abs().amax(dim=(1, 2, 3)) > 30).all()


def test_perp_neg_does_not_depend_on_the_other_samples(distillation: dict[str, Tensor]) -> None:
    together = perp_neg_gradient(distillation, [0, 1, 2])
    torch.testing.assert_close(perp_neg_gradient(distillation, [2, 0, 1]), together[[2, 0, 1]])
    for row in range(3):
        torch.testing.assert_close(perp_neg_gradient(distillation, [row]), together[[row]])


def test_perp_neg_takes_only_what_is_perpendicular() -> None:
    null = torch.zeros(1, 1, 1, 2)
    positive = torch.tensor([[[[2.0, 0.0]]]])
    aslant = torch.tensor([[[[5.0, 1.0]]]])
    guided = perp_neg(null, positive, [aslant], torch.tensor([[-3.0]]), 10.0)
    assert guided.flatten().tolist() == [20.0, -30.0]


def test_perp_neg_survives_equal_predictions() -> None:
    same, other = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    guided = perp_neg(same, same, [other], torch.tensor([[-1.0]]), 100.0)
    assert torch.equal(guided, torch.full_like(same, 101.0))
