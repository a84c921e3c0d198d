"""Every objective with every prior: all registered ones, on tiny networks of the real classes, and closed forms."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gen3d.errors import Unsupported
from gen3d.guidance import Objective, Prior
from gen3d.plugins import installed
from gen3d.testing import GaussianPrior, Mixture, MixturePrior, check_guidance, toy_cameras, toy_stage
from gen3d_distill.distill import Distill
from gen3d_optimizers.adam import AdamW
from gen3d_stable_diffusion.prior import StableDiffusion
from gen3d_zero123.prior import Zero123
from tiny_stable_diffusion import write_tiny_stable_diffusion
from tiny_zero123 import write_tiny_zero123

OBJECTIVES = installed().registry.names("objective")
NEEDED = {"vsd": lambda: {"optimizer": AdamW(lr=0.01)}}
"""The keys without a default."""

CLOSED: dict[str, Callable[[], Prior]] = {
    "gaussian": lambda: GaussianPrior(0.5, 0.3, null_mean=0.2),
    "mixture": lambda: MixturePrior([0.3, 0.7], [0.2, 0.8], [0.1, 0.2], unconditional=Mixture([1.0], [0.5], [0.4])),
    "with_negative": lambda: GaussianPrior(0.5, 0.3, null_mean=0.2, negative=Mixture([1.0], [0.1], [0.4])),
}
REAL: dict[str, Callable[[str], Prior]] = {
    "zero123": lambda weights: Zero123(weights=weights),
    "stable_diffusion": lambda weights: StableDiffusion(
        weights=weights, view_prompts="perp_neg", view_text="{prompt} {view}", unconditional="empty"
    ),
}
WRITERS = {"zero123": write_tiny_zero123, "stable_diffusion": write_tiny_stable_diffusion}
REFUSED = {("nfsd", prior) for prior in ("gaussian", "mixture", "zero123")}
"""No negative branch; every other pair works."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: write(tmp_path_factory.mktemp(name) / "tiny") for name, write in WRITERS.items()}


def objective(name: str) -> Objective:
    made: Objective = installed().registry.component("objective", name).load()(**NEEDED.get(name, dict)())
    return made


def test_every_registered_prior_is_here() -> None:
    assert sorted(REAL) == installed().registry.names("prior")
    assert len(OBJECTIVES) >= 8


@pytest.mark.parametrize("prior", [*CLOSED, *REAL])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_pair_works_or_is_refused_at_once(name: str, prior: str, folders: dict[str, Path]) -> None:
    """It keeps the contract of a guidance, and goes on after it has learnt."""
    made = CLOSED[prior]() if prior in CLOSED else REAL[prior](str(folders[prior]))
    if (name, prior) in REFUSED:
        with pytest.raises(Unsupported, match="the prior has no negative prediction"):
            Distill(made, objective(name))
        return
    guidance = Distill(made, objective(name), t_min=0.3, t_max=0.7)
    stage = toy_stage({"pair": guidance}, steps=3)
    check_guidance(guidance, stage=stage)
    step = stage.step(0)
    views = stage.renderer(stage.representation, toy_cameras(2), step, guidance.needs)
    assert guidance(step, views).loss.isfinite()
