"""One component of each kind, as small as it can be, and an observer.

A plugin in a single file: GEN3D_PLUGINS=examples/every_kind.py gen3d run examples/every_kind.yaml
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

import gen3d
from gen3d.checkpoint import write_atomically
from gen3d.diffusion import NoiseSchedule
from gen3d.guidance import Branches, Latents
from gen3d.run import Run


class Ball(gen3d.Representation):
    """A soft ball of one colour around the origin; density falls from 20 to 0 at its surface.

    Args:
        radius: at the start, world units.
    """

    space, channels, voxel_size = "rgb", 3, 0.1

    def __init__(self, radius: float = 0.3) -> None:
        super().__init__()
        self.radius = nn.Parameter(torch.tensor(radius))
        self.color = nn.Parameter(torch.zeros(3))

    @property
    def box(self) -> Float[Tensor, "2 3"]:
        """The unit cube."""
        return self.color.new_tensor([[-0.5] * 3, [0.5] * 3])

    def density(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, " points"]:
        """Per unit of length."""
        inside = (points.abs() <= self.box[1]).all(dim=-1)
        return 20 * inside * torch.sigmoid((self.radius - points.norm(dim=-1)) / self.voxel_size)

    def features(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points 3"]:
        """The one colour."""
        return self.color.sigmoid().expand(len(points), 3)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """What the optimizer gets, and what checkpoints hold."""
        return {"radius": [self.radius], "color": [self.color]}


class Fog(gen3d.Renderer):
    """The mean colour along each ray over white, as through fog: no occlusion.

    Args:
        samples: points on each ray, from a unit before the origin to a unit behind it.
    """

    draws = gen3d.RadianceField

    def __init__(self, samples: int = 16) -> None:
        super().__init__()
        self.samples = samples

    def forward(
        self, representation: gen3d.Representation, cameras: gen3d.Cameras, step: gen3d.Step, outputs: frozenset[str]
    ) -> gen3d.Views:
        """The background is white, at depth 0."""
        field: Any = representation
        origins, directions = cameras.rays()
        offsets = torch.linspace(-1, 1, self.samples, device=step.device)
        distances = cameras.radius[:, None, None, None] + offsets
        points = origins[..., None, :] + distances[..., None] * directions[..., None, :]
        density = field.density(points.reshape(-1, 3)).view(points.shape[:-1])
        features = field.features(points.reshape(-1, 3)).view(*points.shape[:-1], -1)
        total = density.sum(dim=-1, keepdim=True)
        alpha = 1 - torch.exp(-total * 2 / self.samples)
        share = density / total.clamp_min(1e-6)
        image = alpha * (share[..., None] * features).sum(dim=-2) + 1 - alpha
        return gen3d.Views(cameras, image, field.space, alpha, depth=(share * distances).sum(dim=-1, keepdim=True))


class Coverage(gen3d.Guidance):
    """Squared gap between the share of the picture that the object covers and the share it should cover.

    Args:
        share: of the picture; may change over the stage.
    """

    needs = frozenset({"alpha"})

    def __init__(self, share: gen3d.Schedule | float = 0.2) -> None:
        super().__init__()
        self.share = gen3d.Schedule.of(share)

    def forward(self, step: gen3d.Step, *views: gen3d.Views) -> gen3d.Signal:
        """On the random views, because `cameras` is not overridden."""
        covered = views[0].alpha.mean()
        loss = (covered - self.share(step.index, step.total)).square()
        return gen3d.Signal(loss, log={"covered": covered.detach()})


class PlainPictures(gen3d.Prior):
    """A diffusion model of pictures of one colour and nothing else; its latents are the pictures.

    Args:
        color: sRGB in [0, 1].
        std: standard deviation of each channel around it.
    """

    colors: Tensor

    def __init__(self, color: tuple[float, float, float] = (0.8, 0.4, 0.2), std: float = 0.1) -> None:
        super().__init__()
        self.std, self.schedule = std, NoiseSchedule.scaled_linear()
        self.register_buffer("colors", torch.tensor(color).view(1, 3, 1, 1))

    def condition(self, cameras: gen3d.Cameras, sources: Sequence[object] | None = None) -> gen3d.Condition:
        """One row a view; here nothing depends on it."""
        return gen3d.Condition({"position": cameras.position})

    def encode(self, images: Float[Tensor, "batch height width 3"]) -> Latents:
        """Differentiable: this is how the gradient reaches the object."""
        return images.movedim(-1, 1)

    def decode(self, latents: Latents) -> Float[Tensor, "batch height width 3"]:
        """The way back."""
        return latents.movedim(1, -1)

    def predict(
        self,
        noisy: Latents,
        t: Int[Tensor, " batch"],
        condition: gen3d.Condition,
        branches: Sequence[str],
        adapter: gen3d.Adapter | None = None,
    ) -> Branches:
        """E[eps | x_t] of N(color, std^2); the unconditional branch knows no more than the conditional one."""
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        noise = sigma * (noisy - alpha * self.colors) / (alpha.square() * self.std**2 + sigma.square())
        return dict.fromkeys(branches, noise)


class CleanGap(gen3d.Objective):
    """Latents minus what one step of denoising makes of them."""

    branches = frozenset({"conditional"})

    def residual(
        self,
        prior: gen3d.Prior,
        latents: Latents,
        t: Int[Tensor, " batch"],
        condition: gen3d.Condition,
        noise: Latents,
        step: gen3d.Step,
    ) -> gen3d.Residual:
        """The gradient on the latents, a row a view."""
        noisy = prior.schedule.add_noise(latents, noise, t)
        epsilon = prior.predict(noisy, t, condition, ("conditional",))["conditional"]
        return gen3d.Residual(latents - prior.schedule.to_clean(epsilon, noisy, t))


class Descent(gen3d.Optimizer):
    """Gradient descent.

    Args:
        lr: learning rate; may change over the stage.
    """

    def __init__(self, lr: gen3d.Schedule | float = 0.01) -> None:
        self.lr = gen3d.Schedule.of(lr)

    def bind(self, groups: dict[str, list[nn.Parameter]]) -> None:
        """All groups with the same rate."""
        self.inner = torch.optim.SGD([p for group in groups.values() for p in group], lr=1.0)

    def step(self, loss: Float[Tensor, ""], step: gen3d.Step) -> bool:
        """False where a gradient was not finite: then nothing is changed."""
        self.inner.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        (group,) = self.inner.param_groups
        if not all(p.grad.isfinite().all() for p in group["params"] if p.grad is not None):
            return False
        group["lr"] = self.lr(step.index, step.total)
        self.inner.step()
        return True

    def state_dict(self) -> dict[str, Any]:
        """Descent remembers nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """So there is nothing to put back."""


class PointCloud(gen3d.Exporter):
    """Points where the density is above a threshold, as text that most viewers read (XYZ), with +Y up.

    Args:
        threshold: density per unit of length.
        resolution: points along each side of the field's box.
    """

    def __init__(self, threshold: float = 10.0, resolution: int = 16) -> None:
        super().__init__()
        self.threshold, self.resolution = threshold, resolution

    def export(self, representation: gen3d.Representation, directory: Path, name: str = "asset") -> list[Path]:
        """Write `name.xyz`. Raises Unsupported for what has no density, Degenerate where nothing is dense enough."""
        if not isinstance(representation, gen3d.RadianceField):
            raise gen3d.Unsupported(f"a {type(representation).__name__} has no density to look at")
        axes = [torch.linspace(low, high, self.resolution) for low, high in representation.box.T.tolist()]
        points = torch.cartesian_prod(*axes)
        solid = points[representation.density(points) > self.threshold]
        if not len(solid):
            raise gen3d.Degenerate("the object is empty", remedy="lower export.threshold")
        path = directory / f"{name}.xyz"
        lines = [f"{y:.4f} {z:.4f} {x:.4f}" for x, y, z in solid.tolist()]  # glTF's axes
        write_atomically(path, "\n".join(lines).encode())
        return [path]


@gen3d.hookimpl
def register_components(registry: gen3d.Registrar) -> None:
    """One method a kind: the name that recipes use, and the class."""
    registry.representation("ball", Ball)
    registry.renderer("fog", Fog)
    registry.guidance("coverage", Coverage)
    registry.prior("plain_pictures", PlainPictures)
    registry.objective("clean_gap", CleanGap)
    registry.optimizer("descent", Descent)
    registry.exporter("point_cloud", PointCloud)


@gen3d.hookimpl
def run_started(run: Run) -> None:
    """Leave a note in events.jsonl."""
    run.files.log("note", text=f"{run.recipe.name} starts on {run.device}")


@gen3d.hookimpl
def step_finished(run: Run, step: gen3d.Step, signals: Mapping[str, gen3d.Signal]) -> None:
    """Fewer arguments than the specification has are fine."""
    if "coverage" in signals and step.index % 10 == 0:
        run.files.log("note", text=f"covered {float(signals['coverage'].log['covered']):.2f}")


@gen3d.hookimpl
def run_finished(run: Run, error: BaseException | None) -> None:
    """Also called when the run failed."""
    run.files.log("note", text="done" if error is None else f"ended by {error}")
