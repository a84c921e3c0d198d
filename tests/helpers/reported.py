"""Runs of toy parts that end with their page: the monitor and the report watch, and a box is exported."""

import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

import gen3d_monitor
import gen3d_report
from core_toys import RECIPE, Ball, core_plugins, toy_run
from gen3d import Exporter, Registrar, Representation, hookimpl
from gen3d.run import Run
from gen3d_export.asset_json import figures
from gen3d_export.write import write
from small_asset import box_asset

PROMPT = "<script>window.hurt = 1</script><img src=x onerror='window.hurt = 2'> & a \"ball\""

TEXT = (
    RECIPE.replace("type: ball", "type: faces")
    .replace("size: 4", "size: 16")
    .replace("color: [0.1, 0.2, 0.9]", "color: [0.9, 0.8, 0.1]")
    + f"inputs: {{prompt: {json.dumps(PROMPT)}}}\nexport: {{type: box}}\nname: toy\n"
)
"""A recipe with an unfriendly prompt."""


class Faces(Ball):
    """A ball whose colour has blue spots to the front and, as often as it is said, all around.

    Args:
        faces: spots at equal angles.
    """

    def __init__(self, faces: int = 1) -> None:
        super().__init__(radius=0.4, color=(0.9, 0.7, 0.5))
        self.faces = faces

    def features(self, points: Float[Tensor, "points 3"]) -> Float[Tensor, "points channels"]:
        """The one colour; less red and green where a spot is."""
        azimuth = torch.atan2(points[:, 1], points[:, 0])
        turn = 2 * torch.pi / self.faces
        beside = (azimuth + turn / 2).remainder(turn) - turn / 2
        spot = (beside.abs() < 0.5) & (points[:, 2] > -0.05) & (points[:, 2] < 0.25)
        return self.color * torch.where(spot[:, None], torch.tensor([0.1, 0.2, 1.0]), torch.ones(3))


class Box(Exporter):
    """A box, whatever the object is."""

    def export(self, representation: Representation, directory: Path, name: str = "asset") -> list[Path]:
        """Write the box as GLB, and its figures."""
        directory.mkdir(parents=True, exist_ok=True)
        asset, files = box_asset(), [f"{name}.glb"]
        write(asset, directory, name, ["glb"], None, None)
        (directory / "asset.json").write_text(json.dumps(figures(asset, files, {})), encoding="utf-8")
        return [directory / files[0], directory / "asset.json"]


@hookimpl
def register_components(registry: Registrar) -> None:
    """Both."""
    registry.representation("faces", Faces)
    registry.exporter("box", Box)


def reported(folder: Path, *overrides: str, text: str = TEXT) -> Run:
    """A run that is watched; not started."""
    plugins = core_plugins()
    plugins.load("boxes", "0", lambda: sys.modules[__name__])
    plugins.load("monitor", "0", lambda: gen3d_monitor)
    plugins.load("report", "0", lambda: gen3d_report)
    assert [status.error for status in plugins.statuses] == [None] * 4
    return toy_run(folder, *overrides, text=text, plugins=plugins)


class Html(HTMLParser):
    """The tags of a page with their attributes, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep it."""
        self.texts.append(data)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        """Of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def ids(self) -> set[str]:
        """Of the sections and all else that has one."""
        return {str(attributes["id"]) for _, attributes in self.tags if "id" in attributes}
