"""Published weights by name."""

from pathlib import Path

from gen3d.weights import places

HUB = {
    "zero123-xl": "kxic/zero123-xl",
    "zero123-105000": "kxic/zero123-105000",
    "zero123-165000": "kxic/zero123-165000",
    "stable-zero123": "kxic/stable-zero123",
}
"""Repositories that hold published weights in diffusers' layout, by the weights' short name."""


def find(name: str) -> Path:
    """The folder of some weights: see `gen3d.weights.places.find`."""
    return places.find(name, "zero123", HUB)
