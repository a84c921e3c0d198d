"""Values and gradients of the regularizers against what published codes gave on the same inputs."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.guidance import Guidance
from gen3d.part import Step
from gen3d.testing import toy_cameras
from gen3d.views import Samples, Views
from gen3d_regularizers.center_depth import CenterDepth
from gen3d_regularizers.depth_smoothness import DepthSmoothness
from gen3d_regularizers.emptiness import Emptiness
from gen3d_regularizers.entropy import Entropy
from gen3d_regularizers.near_view_consistency import NearViewConsistency, beside
from gen3d_regularizers.normal_smoothness import NormalSmoothness
from gen3d_regularizers.opacity import Opacity
from gen3d_regularizers.orientation import Orientation
from gen3d_regularizers.weight_entropy import WeightEntropy
from gen3d_regularizers.z_variance import ZVariance

GOLDEN = Path(__file__).parents[1] / "golden"
STEP = Step(0, 1)


def read(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / name) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


@pytest.fixture(scope="module")
def rays() -> dict[str, Tensor]:
    """threestudio's and stable-dreamfusion's terms, float64."""
    return read("sds_vsd/losses.npz")


@pytest.fixture(scope="module")
def maps() -> dict[str, Tensor]:
    """SJC's and Zero-1-to-3's terms, float32."""
    return read("sjc_zero123/losses.npz")


def views_of(
    image: Tensor | None = None,
    alpha: Tensor | None = None,
    depth: Tensor | None = None,
    normal: Tensor | None = None,
    samples: Samples | None = None,
) -> Views:
    """Views that hold what is given, each "views height width channels", and zeros elsewhere."""
    given = next((x for x in (image, alpha, depth, normal) if x is not None), torch.zeros(1, 1, 1, 1))
    flat = torch.zeros(*given.shape[:3], 1, dtype=given.dtype)
    pictures = [flat if x is None else x for x in (image, alpha, depth)]
    return Views(toy_cameras(len(given)), pictures[0], "latent", pictures[1], pictures[2], normal, samples)


def leaf(tensor: Tensor) -> Tensor:
    return tensor.clone().requires_grad_()


def check(guidance: Guidance, views: Views | tuple[Views, ...], value: Tensor, weight: float = 1.0) -> None:
    """Compare the value; run backwards, so that leaves hold the gradient of the weighted loss."""
    signal = guidance(STEP, *(views if isinstance(views, tuple) else (views,)))
    torch.testing.assert_close(weight * signal.loss.double(), value.double(), rtol=2e-6, atol=1e-12)
    (weight * signal.loss).backward()


def exactly(got: Tensor | None, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-14)


def closely(got: Tensor | None, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def packed(rays: dict[str, Tensor]) -> Samples:
    return Samples(
        weights=leaf(rays["weights"]),
        rays=rays["ray_indices"],
        distances=leaf(rays["t_positions"]),
        directions=rays["t_dirs"],
        normals=leaf(rays["normals"]),
        ray_count=6,
        slots=12,
    )


def test_orientation_is_threestudios(rays: dict[str, Tensor]) -> None:
    samples = packed(rays)
    check(Orientation(), views_of(samples=samples), rays["ts_orient"])
    exactly(samples.normals.grad, rays["ts_orient_grad_normals"])
    assert samples.weights.grad is None  # published: zeros, its weights are detached
    assert not rays["ts_orient_grad_weights"].any()


def test_z_variance_is_hifas(rays: dict[str, Tensor]) -> None:
    samples = packed(rays)
    check(ZVariance(), views_of(samples=samples), rays["ts_z_variance"])
    exactly(samples.weights.grad, rays["ts_z_variance_grad_weights"])
    exactly(samples.distances.grad, rays["ts_z_variance_grad_t"])


def test_weight_entropy_is_prolific_dreamers_over_the_samples_of_a_ray(rays: dict[str, Tensor]) -> None:
    samples = packed(rays)
    check(WeightEntropy(), views_of(samples=samples), rays["sdf_entropy"], weight=6 / len(samples.rays))
    exactly(samples.weights.grad, rays["sdf_entropy_grad_weights"])


@pytest.mark.parametrize(("guidance", "key"), [(Opacity(), "sparsity"), (Entropy(), "opaque")])
def test_terms_of_opacity_are_threestudios(guidance: Guidance, key: str, rays: dict[str, Tensor]) -> None:
    alpha = leaf(rays["opaque_in"][None, None, :, None])
    check(guidance, views_of(alpha=alpha), rays[f"{key}_value"])
    exactly(alpha.grad.flatten(), rays[f"{key}_grad"])


@pytest.mark.parametrize(("guidance", "key"), [(Opacity(), "ts_sparsity"), (Entropy(), "ts_opaque")])
def test_their_gradient_reaches_the_weights(guidance: Guidance, key: str, rays: dict[str, Tensor]) -> None:
    weights = leaf(rays["weights"])
    alpha = weights.new_zeros(6).index_add(0, rays["ray_indices"], weights)
    check(guidance, views_of(alpha=alpha[None, None, :, None]), rays[key])
    exactly(weights.grad, rays[f"{key}_grad_weights"])


def test_normal_smoothness_is_stable_dreamfusions(rays: dict[str, Tensor]) -> None:
    normal = leaf(rays["sdf_normal_smooth_in"])
    check(NormalSmoothness(), views_of(image=normal.detach(), normal=normal), rays["sdf_normal_smooth"])
    exactly(normal.grad, rays["sdf_normal_smooth_grad"])


@pytest.mark.parametrize("row", range(6))
def test_emptiness_is_sjcs(row: int, maps: dict[str, Tensor]) -> None:
    """Its weight of 10,000 is twenty times that from half of the steps on."""
    late = 2 * maps["sjc_emptiness_step"][row] >= maps["sjc_emptiness_n_steps"]
    dense = maps["sjc_emptiness_weights"][row]
    weights = leaf(dense.flatten())
    ray = torch.arange(64).repeat(12)
    samples = Samples(weights, ray, weights.detach(), torch.zeros(768, 3), None, ray_count=64, slots=12)
    weight = 2e5 if late else 1e4
    check(Emptiness(), views_of(samples=samples), maps["sjc_emptiness_loss"][row], weight)
    closely(weights.grad.view_as(dense), maps["sjc_emptiness_grad"][row])


def test_emptiness_counts_slots_without_a_sample(maps: dict[str, Tensor]) -> None:
    """Dropping samples of no weight, as packed renderers do, changes nothing."""
    dense = maps["sjc_emptiness_weights"][0].flatten() * (torch.arange(768) % 3 > 0)
    ray, kept = torch.arange(64).repeat(12), dense > 0
    assert 0 < kept.sum() < 768
    whole = Samples(dense, ray, dense, torch.zeros(768, 3), None, ray_count=64, slots=12)
    few = Samples(dense[kept], ray[kept], dense[kept], torch.zeros(int(kept.sum()), 3), None, ray_count=64, slots=12)
    closely(Emptiness()(STEP, views_of(samples=few)).loss, Emptiness()(STEP, views_of(samples=whole)).loss)


def test_depth_smoothness_is_zero_1_to_3s(maps: dict[str, Tensor]) -> None:
    """At weight 1,000 on the input view and 10,000 on the random one; ties have no gradient."""
    for row in range(2):
        depth = leaf(maps["rec_depth_input"][row][None, ..., None])
        check(DepthSmoothness("input"), views_of(depth=depth), maps["rec_input_smooth_loss"][row], 1e3)
        closely(depth.grad[0, ..., 0], maps["rec_input_smooth_grad"][row])
        plain = DepthSmoothness()(STEP, views_of(depth=maps["rec_depth"][row][None, ..., None])).loss
        closely(plain.double(), maps["rec_depth_smooth_value"][row])
    depth = leaf(maps["rec_depth"][1][None, ..., None])
    check(DepthSmoothness(), views_of(depth=depth), maps["rec_smooth_loss"], 1e4)
    closely(depth.grad[0, ..., 0], maps["rec_smooth_grad"])


@pytest.mark.parametrize("row", [0, 1])
def test_near_view_consistency_is_zero_1_to_3s(row: int, maps: dict[str, Tensor]) -> None:
    depths = [leaf(maps[name][row][None, ..., None]) for name in ("rec_depth", "rec_depth_near")]
    names = ("rec_latents", "rec_latents_near")
    images = [leaf(maps[name][row][None].permute(0, 2, 3, 1)) for name in names]
    pair = tuple(views_of(image=image, depth=depth) for image, depth in zip(images, depths, strict=True))
    check(NearViewConsistency(), pair, maps["rec_near_loss"][row], 1e4)
    for suffix, image, depth in zip(("", "_near"), images, depths, strict=True):
        closely(image.grad[0].permute(2, 0, 1), maps[f"rec_near_grad_latents{suffix}"][row])
        closely(depth.grad[0, ..., 0], maps[f"rec_near_grad_depth{suffix}"][row])


def test_the_near_camera_is_zero_1_to_3s(maps: dict[str, Tensor]) -> None:
    """The published position and eye tell which way the eye was moved; it looks at the origin, upright."""
    near = maps["rec_near_pose"]
    shift = near[:, :3, 3] - maps["rec_eye"]
    assert shift.norm(dim=1).tolist() == pytest.approx([0.05, 0.05])
    moved = beside(Cameras.look_at(maps["rec_eye"], 0.85, 8), shift)
    torch.testing.assert_close(moved.c2w, near, rtol=0, atol=1e-12)


def test_center_depth_is_sjcs_with_its_sign_corrected(maps: dict[str, Tensor]) -> None:
    """Where the object is in the middle the published value is NaN and its gradient right; weight 10."""
    depth = leaf(maps["sjc_center_depth"][1][None, ..., None])
    d = maps["sjc_center_depth"][1].double()
    border = (d.sum() - d[7:57, 7:57].sum()) / (64 * 64 - 50 * 50)
    loss = CenterDepth()(STEP, views_of(depth=depth)).loss
    assert loss.item() == pytest.approx(-math.log(border - d[7:57, 7:57].mean()), rel=1e-5)
    (10 * loss).backward()
    assert maps["sjc_center_depth_loss"][1].isnan()
    closely(depth.grad[0, ..., 0], maps["sjc_center_depth_grad"][1])


def test_center_depth_is_finite_where_there_is_a_hole(maps: dict[str, Tensor]) -> None:
    depth = leaf(maps["sjc_center_depth"][0][None, ..., None])
    loss = CenterDepth()(STEP, views_of(depth=depth)).loss
    loss.backward()
    assert loss.isfinite()
    assert not depth.grad.any()
