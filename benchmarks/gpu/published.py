"""The same algorithms as their published codes do them, as guidances: what gen3d's are timed beside.

Written from what a step of those codes does, with what they do besides: the posterior is sampled, threestudio's SDS
decodes what it then throws away, ProlificDreamer's VSD has a second UNet for the views and asks it by itself, and
every call is launched kernel by kernel. No straw men: weights are bfloat16, attention is PyTorch's, and guidance's two
rows are one call, as there. Only the renderer, the optimizer and the loop are gen3d's.
"""

import copy
from collections.abc import Callable

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import TimestepEmbedding
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from gen3d.guidance import Guidance, Prior, Signal
from gen3d.part import Step
from gen3d.views import Views
from gen3d.weights.codecs import Autoencoder
from gen3d_stable_diffusion.networks import Networks
from gen3d_zero123.prior import Zero123

Noise = Callable[[Step, str, Tensor], Tensor]
"""Normal noise of a step, by its purpose, like a tensor."""

Times = Callable[[Step, str, int, int], Tensor]
"""One timestep of a step, by its purpose, from a lowest to a highest."""


def drawn_noise(_step: Step, _purpose: str, like: Tensor) -> Tensor:
    """From the device's own stream."""
    return torch.randn_like(like)


def drawn_time(step: Step, _purpose: str, low: int, high: int) -> Tensor:
    """From the device's own stream."""
    return torch.randint(low, high + 1, (1,), device=step.device)


def drawn_drop(step: Step) -> bool:
    """Whether the second network learns without the camera, one time in ten."""
    return torch.rand((), generator=step.rng("drop")).item() < 0.1  # noqa: PLR2004 (ProlificDreamer's share)


class Published(Guidance):
    """What the three have in common.

    Args:
        alpha_bar: of the noise schedule.
        scale: of guidance, as gen3d counts it.
        noise: draws normal noise.
        time: draws timesteps.
    """

    def __init__(self, alpha_bar: Tensor, scale: float, noise: Noise = drawn_noise, time: Times = drawn_time) -> None:
        super().__init__()
        self.alpha_bar, self.scale, self.noise, self.time = alpha_bar, scale, noise, time

    def noisy(self, latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """As diffusers' schedulers have it."""
        alpha, sigma = self.amplitudes(t)
        return alpha * latents + sigma * noise

    def amplitudes(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Square roots of alpha_bar and of what is left to 1."""
        bar = self.alpha_bar[t].view(-1, 1, 1, 1)
        return bar.sqrt(), (1 - bar).sqrt()

    def encoded(self, step: Step, codec: Autoencoder, views: Views) -> Tensor:
        """A sample of the posterior."""
        pixels = views.color.permute(0, 3, 1, 2)
        side = int(codec.vae.config["sample_size"])
        pixels = interpolate(pixels, (side, side), mode="bilinear", align_corners=False)
        posterior = codec.vae.encode((2 * pixels - 1).to(codec.vae.dtype)).latent_dist
        drawn = posterior.mean.float() + posterior.std.float() * self.noise(step, "posterior", posterior.mean.float())
        return drawn * codec.scaling


class SDS(Published):
    """threestudio's stable-diffusion-guidance.

    Args:
        networks: Stable Diffusion's.
        text: embeddings of the empty prompt and of the prompt.
        more: of Published.
    """

    def __init__(self, networks: Networks, text: tuple[Tensor, Tensor], *more: object, **options: object) -> None:
        super().__init__(*more, **options)  # type: ignore[arg-type]
        self._networks, self.text = [networks], torch.cat(text)

    def forward(self, step: Step, *views: Views) -> Signal:
        """Half the squared distance to latents - gradient."""
        (networks,) = self._networks
        latents = self.encoded(step, networks.codec, views[0])
        t, noise = self.time(step, "t", 20, 980), self.noise(step, "noise", latents)
        with torch.no_grad():
            noisy = self.noisy(latents, noise, t)
            told = _asked(networks.unet, torch.cat([noisy] * 2), torch.cat([t] * 2), self.text)
            empty, text = told.chunk(2)
            predicted = text + (self.scale - 1) * (text - empty)  # DreamFusion's way to count the scale
            alpha, sigma = self.amplitudes(t)
            networks.codec.decode((noisy - sigma * predicted) / alpha / networks.codec.scaling)
            gradient = torch.nan_to_num(sigma**2 * (predicted - noise))
            target = (latents - gradient).detach()
        return Signal(0.5 * mse_loss(latents, target, reduction="sum") / len(latents))


class SJC(Published):
    """The 3drec of Zero-1-to-3: a denoiser of variance-exploding noise around the network.

    Args:
        prior: for what it knows of the input picture; its networks are called here.
        more: of Published.
    """

    def __init__(self, prior: Zero123, *more: object, **options: object) -> None:
        super().__init__(*more, **options)  # type: ignore[arg-type]
        self._prior = [prior]

    @property
    def prior(self) -> Prior:
        """Who decodes the input view."""
        return self._prior[0]

    def forward(self, step: Step, *views: Views) -> Signal:
        """The score at perturbed latents, pushed into them."""
        (prior,), t = self._prior, self.time(step, "t", 10, 969)
        (alpha, sigma), y = self.amplitudes(t), views[0].image.permute(0, 3, 1, 2)
        with torch.no_grad():
            rows = prior.condition(views[0].cameras).tensors
            spread, clean = sigma / alpha, y.detach()
            perturbed = clean + spread * self.noise(step, "noise", clean)
            scaled = perturbed / torch.sqrt(1 + spread**2)
            beside = torch.cat([torch.zeros_like(rows["latent"]), rows["latent"]])
            tokens = torch.cat([torch.zeros_like(rows["context"]), rows["context"]])
            inputs = torch.cat([torch.cat([scaled] * 2), beside], dim=1)
            empty, posed = _asked(prior.networks.unet, inputs, torch.cat([t] * 2), tokens).chunk(2)
            denoised = perturbed - spread * (empty + self.scale * (posed - empty))
            gradient = (denoised - clean) / spread
        return Signal((y * -gradient).sum() / len(y))


class VSD(Published):
    """ProlificDreamer's first stage, with a second network that learns the views.

    Args:
        networks: Stable Diffusion's.
        text: embeddings of the empty prompt and of the prompt.
        more: of Published.
    """

    def __init__(self, networks: Networks, text: tuple[Tensor, Tensor], *more: object, **options: object) -> None:
        super().__init__(*more, **options)  # type: ignore[arg-type]
        self._networks, self.text = [networks], text
        self._views = [copy.deepcopy(networks.unet)]
        self.learnt = adapted(self._views[0], rank=4)
        self.optimizer = torch.optim.AdamW(self.learnt, lr=1e-4)
        self.error, self.dropped = torch.zeros(()), drawn_drop

    def forward(self, step: Step, *views: Views) -> Signal:
        """The difference of the two networks' noise, pushed into the latents."""
        (networks,) = self._networks
        latents = self.encoded(step, networks.codec, views[0])
        t, noise = self.time(step, "t", 20, 980), self.noise(step, "noise", latents)
        camera = views[0].cameras.c2w.flatten(1)
        with torch.no_grad():
            noisy = self.noisy(latents, noise, t)
            told = _asked(networks.unet, torch.cat([noisy] * 2), torch.cat([t] * 2), torch.cat(self.text))
            empty, text = told.chunk(2)
            of_views = self.particle(noisy, t, camera)
            guided = empty + self.scale * (text - empty)
            gradient = torch.nan_to_num(self.amplitudes(t)[1] ** 2 * (guided - of_views))
        self._seen = latents.detach(), camera
        return Signal((gradient * latents).sum() / len(latents))

    def after_step(self, step: Step) -> None:
        """One step of the second network."""
        latents, camera = self._seen
        t, noise = self.time(step, "learn.t", 0, 999), self.noise(step, "learn.noise", latents)
        if self.dropped(step):
            camera = torch.zeros_like(camera)
        self.error = mse_loss(self.particle(self.noisy(latents, noise, t), t, camera), noise)
        self.optimizer.zero_grad()
        self.error.backward()
        self.optimizer.step()

    def particle(self, noisy: Tensor, t: Tensor, camera: Tensor) -> Tensor:
        """The noise that the second network predicts."""
        return _asked(self._views[0], noisy, t, self.text[1], camera)


class LoraLinear(nn.Module):
    """A frozen layer and its low-rank change, in float32."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer, device = layer, layer.weight.device
        self.down = nn.Parameter(torch.randn(rank, layer.in_features, device=device) / rank)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank, device=device))

    def forward(self, inputs: Tensor) -> Tensor:
        """Both together."""
        change = nn.functional.linear(nn.functional.linear(inputs.float(), self.down), self.up)
        return self.layer(inputs) + change.to(inputs.dtype)


def adapted(unet: UNet2DConditionModel, rank: int) -> list[nn.Parameter]:
    """Replace the layers of a network's attention, and let it see cameras; the parameters to train."""
    names = [name for name, module in unet.named_modules() if isinstance(module, nn.Linear) and _of_attention(name)]
    for name in names:
        place, _, last = name.rpartition(".")
        parent = unet.get_submodule(place)
        setattr(parent, last, LoraLinear(getattr(parent, last), rank))
    width = int(unet.time_embedding.linear_2.out_features)
    unet.class_embedding = TimestepEmbedding(16, width).to(unet.device)
    changes = [module for module in unet.modules() if isinstance(module, LoraLinear)]
    learnt = [parameter for change in changes for parameter in (change.down, change.up)]
    return [*learnt, *unet.class_embedding.parameters()]


def _of_attention(name: str) -> bool:
    return name.endswith((".to_q", ".to_k", ".to_v", ".to_out.0"))


def _asked(unet: UNet2DConditionModel, inputs: Tensor, t: Tensor, text: Tensor, camera: Tensor | None = None) -> Tensor:
    dtype = next(unet.conv_in.parameters()).dtype
    return unet(inputs.to(dtype), t, text.to(dtype), class_labels=camera).sample.float()
