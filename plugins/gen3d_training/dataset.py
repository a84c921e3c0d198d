"""Posed pictures of many objects, in memory."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from rich.progress import track
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.errors import BadInput


@dataclass(frozen=True, eq=False)
class ViewDataset:
    """What `gen3d render-dataset` wrote, or some objects of it.

    Args:
        names: "pack/object" of each object.
        pictures: RGBA with straight alpha.
        azimuth: of each view's camera, radians.
        elevation: of each view's camera, radians.
        radius: of each view's camera, in units of the object's longest side.
        fov: of all cameras, radians.
    """

    names: tuple[str, ...]
    pictures: UInt8[Tensor, "objects views size size 4"]
    azimuth: Float[Tensor, "objects views"]
    elevation: Float[Tensor, "objects views"]
    radius: Float[Tensor, "objects views"]
    fov: float

    @classmethod
    def open(cls, folder: Path) -> "ViewDataset":
        """Read a folder; the pictures are kept beside it in one file for the next time.

        Raises BadInput where there is no dataset, or objects differ in how many views they have.
        """
        index = folder / "index.json"
        if not index.is_file():
            raise BadInput("holds no index.json", place=str(folder), remedy="make one: gen3d render-dataset MESHES OUT")
        cache = folder / "views.npz"
        if not cache.exists() or cache.stat().st_mtime < index.stat().st_mtime:
            _pack(folder, json.loads(index.read_text())["objects"], cache)
        with np.load(cache) as arrays:
            pictures, poses = torch.from_numpy(arrays["pictures"]), torch.from_numpy(arrays["poses"])
            azimuth, elevation, radius = poses.unbind(-1)
            return cls(tuple(map(str, arrays["names"])), pictures, azimuth, elevation, radius, float(arrays["fov"]))

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, keep: list[int]) -> "ViewDataset":
        """Some of the objects."""
        rows = torch.tensor(keep, dtype=torch.long)
        poses = self.azimuth[rows], self.elevation[rows], self.radius[rows]
        return ViewDataset(tuple(self.names[i] for i in keep), self.pictures[rows], *poses, fov=self.fov)

    def cameras(
        self, objects: Int[Tensor, " batch"], views: Int[Tensor, " batch"], mirror: Tensor | None = None
    ) -> Cameras:
        """The cameras of some views; where `mirror` is set, of the world reflected in the plane y = 0."""
        azimuth = self.azimuth[objects, views]
        azimuth = azimuth if mirror is None else torch.where(mirror, -azimuth, azimuth)
        elevation, radius = self.elevation[objects, views], self.radius[objects, views]
        return Cameras.orbit(azimuth, elevation, radius, self.fov, self.pictures.shape[2])

    def images(
        self, objects: Int[Tensor, " batch"], views: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch size size 3"]:
        """Some views over white, in [0, 1]."""
        return over_white(self.pictures[objects, views].float() / 255)


def over_white(rgba: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3"]:
    """Composite straight alpha over white."""
    alpha = rgba[..., 3:]
    return rgba[..., :3] * alpha + (1 - alpha)


def _pack(folder: Path, names: list[str], cache: Path) -> None:
    pictures, poses, fov = [], [], 0.0
    for name in track(names, "reading views"):
        table = json.loads((folder / name / "views.json").read_text())
        fov = np.radians(table["fov_deg"])
        pictures.append([np.asarray(Image.open(folder / name / view["file"])) for view in table["views"]])
        angles = [[np.radians(view["azimuth_deg"]), np.radians(view["elevation_deg"])] for view in table["views"]]
        poses.append([[*pair, view["radius"]] for pair, view in zip(angles, table["views"], strict=True)])
    if len({len(views) for views in pictures}) > 1:
        raise BadInput("objects differ in their number of views", place=str(folder), remedy="render it again, whole")
    np.savez(cache, pictures=np.stack(pictures), poses=np.asarray(poses, np.float32), names=names, fov=fov)
