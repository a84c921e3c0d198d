"""Weights by name."""

from pathlib import Path

from gen3d.weights import places
from gen3d_zero123.family import FAMILY


def find(name: str) -> Path:
    """The folder of some weights: see `gen3d.weights.places.find`."""
    return places.find(name, FAMILY.kind, FAMILY)
