"""Time and memory of a step of variational score distillation with Stable Diffusion 2.1's shapes and random weights.

python benchmarks/vsd_step.py --size 256                   latents of 32x32
python benchmarks/vsd_step.py --device cuda                what ProlificDreamer optimises: 512x512, latents of 64x64
python benchmarks/vsd_step.py --narrow 10 --size 64        the same layers, 10 times narrower: does it work?

The picture stands for a rendered view. `encoder`: it becomes latents, and a gradient comes back to its pixels.
`scores`: the prior with and without text and the adapter, three rows in one call, which is all the gradient needs.
`adapter`: one step of what learns the views. `step`: all of them, through the guidance that a recipe names.
"""

import resource
import statistics
import time
from collections.abc import Callable, Sequence

import click
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor

from gen3d import Cameras, Stage, Step
from gen3d.part import frozen
from gen3d.views import Views
from gen3d.weights.codecs import Autoencoder
from gen3d.weights.folder import Diffusion
from gen3d_distill.distill import Distill
from gen3d_distill.vsd import VSD
from gen3d_optimizers.adam import AdamW
from gen3d_stable_diffusion.networks import Networks
from gen3d_stable_diffusion.prior import StableDiffusion
from gen3d_stable_diffusion.texts import Texts

TOKENS = 77


class Embeddings(Texts):
    """Random embeddings of texts, in the place of a text encoder's: it does no work in a step."""

    def __init__(self, width: int, device: torch.device) -> None:
        self.width, self.device = width, device

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "texts tokens width"]:
        """One for each text."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(len(texts), TOKENS, self.width, generator=generator).to(self.device)


def networks(latent: int, narrow: int, device: torch.device) -> Networks:
    """Stable Diffusion 2.1's, or the same with so many times fewer channels."""
    widths = [320 // narrow, 640 // narrow, 1280 // narrow, 1280 // narrow]
    norm = {"norm_num_groups": 32 if narrow == 1 else 8}
    attends = {"cross_attention_dim": 1024 // narrow, "attention_head_dim": [5, 10, 20, 20] if narrow == 1 else 4}
    unet = UNet2DConditionModel(
        sample_size=latent, block_out_channels=widths, use_linear_projection=True, **attends, **norm
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=[max(8, width // narrow // 8 * 8) for width in (128, 256, 512, 512)],
        layers_per_block=2,
        scaling_factor=0.18215,
        sample_size=8 * latent,
        **(norm | {"norm_num_groups": 32 if narrow == 1 else 4}),
    )
    result = Networks(unet, Autoencoder(vae), Diffusion("v_prediction"))
    frozen(result)
    result.to(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    result.unet.to(memory_format=torch.channels_last)
    return result


def median_ms(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Milliseconds by the clock; the first run is left out."""
    times = []
    for _ in range(repeats + 1):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def guidance(networks: Networks, device: torch.device) -> tuple[Distill, Step]:
    """What `{type: distill, objective: {type: vsd}}` is in a recipe, bound to these networks, and a step of it."""
    prior = StableDiffusion(view_prompts="none")
    prior.use(Embeddings(int(networks.unet.config["cross_attention_dim"]), device), networks)
    vsd = VSD(AdamW(0.0001))
    stage = Stage("benchmark", 1, 0, device, None, None, None, None, {})  # type: ignore[arg-type]
    vsd.pair(prior, stage)
    return Distill(prior, vsd), stage.step(0)


@click.command()
@click.option("--size", default=512, show_default=True, help="Pixels along a side of the view, a multiple of 64.")
@click.option("--narrow", default=1, show_default=True, help="How many times fewer channels than published.")
@click.option("--threads", default=2, show_default=True)
@click.option("--repeats", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True)
def main(size: int, narrow: int, threads: int, repeats: int, device: str) -> None:
    """Measure each part of a step with one view."""
    torch.set_num_threads(threads)
    place = torch.device(device)
    networks_ = networks(size // 8, narrow, place)
    distill, step = guidance(networks_, place)
    prior, vsd = distill.prior, distill.objective
    cameras = Cameras.orbit(0.5, 0.2, 1.6, 0.8, size).to(place)
    picture = torch.rand(1, size, size, 3, generator=torch.Generator().manual_seed(0)).to(place).requires_grad_()
    one = torch.ones_like(picture[..., :1])
    latents, condition = prior.encode(picture).detach(), prior.condition(cameras)
    t, noise = torch.tensor([500], device=place), torch.ones_like(latents)

    def scores() -> None:
        with torch.no_grad():
            vsd.residual(prior, latents, t, condition, noise, step)

    def whole() -> None:
        distill(step, Views(cameras, picture, "rgb", one, one)).loss.backward()
        distill.after_step(step)

    rows = {
        "encoder": lambda: prior.encode(picture).sum().backward(),
        "scores": scores,
        "adapter": lambda: vsd.learn(prior, latents, condition, step),
        "step": whole,
    }
    count = sum(parameter.numel() for parameter in networks_.unet.parameters())
    print(f"{count / 1e6:.1f} M parameters in the UNet; {size}x{size} pixels; {device}, {threads} threads")
    for name, work in rows.items():
        print(f"{name:8} {median_ms(work, repeats, place):9.0f} ms, median of {repeats}", flush=True)
    peak = torch.cuda.max_memory_allocated() if place.type == "cuda" else 1024 * _resident()
    print(
        f"memory   {peak / 2**20:9.0f} MiB at the peak, {'of the device' if place.type == 'cuda' else 'of the process'}"
    )


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
