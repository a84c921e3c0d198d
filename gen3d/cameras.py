"""Pinhole cameras, and the distribution that random ones are drawn from.

World: right-handed, +Z up, object at the origin. Camera: OpenGL axes (+X right, +Y up, looks along -Z).
Azimuth runs counter-clockwise from above, 0 is a camera on +X; elevation is up. Radians throughout.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d.transfer import sent

_POLE = 1e-6  # below this |up x back|, up says nothing about roll


@dataclass(frozen=True, eq=False)  # compared by identity: the loop renders each object once
class Cameras:
    """A batch of square-pixel pinhole cameras that share one picture size.

    Args:
        c2w: camera-to-world transforms, columns right, up, backward, position; any unit of length.
        fov: vertical field of view, radians.
        height: picture height, pixels.
        width: picture width, pixels.
    """

    c2w: Float[Tensor, "views 4 4"]
    fov: Float[Tensor, " views"]
    height: int
    width: int

    @classmethod
    def look_at(
        cls,
        eye: Float[Tensor, "views 3"],
        fov: float | Float[Tensor, " views"],
        height: int,
        width: int | None = None,
        *,
        target: Float[Tensor, "views 3"] | None = None,
        up: Float[Tensor, "views 3"] | None = None,
    ) -> "Cameras":
        """Cameras at `eye` that look at `target` (default: the origin), with `up` (default: +Z) upwards."""
        target = torch.zeros_like(eye) if target is None else target
        up = eye.new_tensor([0.0, 0.0, 1.0]).expand_as(eye) if up is None else up
        back = torch.nn.functional.normalize(eye - target, dim=-1)
        right = torch.linalg.cross(up, back)
        # From a pole any roll is right; +Y is what the limit of azimuth 0 gives.
        beside = eye.new_tensor([0.0, 1.0, 0.0]).expand_as(eye)
        right = torch.where(right.norm(dim=-1, keepdim=True) < _POLE, beside, right)
        right = torch.nn.functional.normalize(right, dim=-1)
        true_up = torch.linalg.cross(back, right)
        c2w = torch.eye(4, dtype=eye.dtype, device=eye.device).repeat(len(eye), 1, 1)
        c2w[:, :3] = torch.stack([right, true_up, back, eye], dim=-1)
        angles = torch.as_tensor(fov, dtype=eye.dtype, device=eye.device).expand(len(eye))
        return cls(c2w, angles, height, height if width is None else width)

    @classmethod
    def orbit(
        cls,
        azimuth: float | Float[Tensor, " views"],
        elevation: float | Float[Tensor, " views"],
        radius: float | Float[Tensor, " views"],
        fov: float | Float[Tensor, " views"],
        height: int,
        width: int | None = None,
    ) -> "Cameras":
        """Cameras on a sphere around the origin, looking at it. Numbers and tensors broadcast."""
        angles = (torch.as_tensor(value, dtype=torch.float32) for value in (azimuth, elevation, radius))
        a, e, r = torch.broadcast_tensors(*(torch.atleast_1d(value) for value in angles))
        return cls.look_at(r[:, None] * direction(a, e), fov, height, width)

    def __len__(self) -> int:
        return len(self.c2w)

    def __getitem__(self, index: int | slice | Tensor) -> "Cameras":
        """A batch with the views that `index` selects; an integer gives a batch of one."""
        rows = slice(index, index + 1 or None) if isinstance(index, int) else index
        return replace(self, c2w=self.c2w[rows], fov=self.fov[rows])

    def to(self, device: torch.device | str) -> "Cameras":
        """The same cameras on another device."""
        return replace(self, c2w=sent(self.c2w, device), fov=sent(self.fov, device))

    def resized(self, height: int, width: int | None = None) -> "Cameras":
        """The same views at another picture size; the same object where it is this size already."""
        width = height if width is None else width
        return self if (height, width) == (self.height, self.width) else replace(self, height=height, width=width)

    @property
    def position(self) -> Float[Tensor, "views 3"]:
        """Camera centres."""
        return self.c2w[:, :3, 3]

    @property
    def radius(self) -> Float[Tensor, " views"]:
        """Distance from the origin."""
        return self.position.norm(dim=-1)

    @property
    def azimuth(self) -> Float[Tensor, " views"]:
        """Angle of the camera around +Z, in (-pi, pi]."""
        return torch.atan2(self.position[:, 1], self.position[:, 0])

    @property
    def elevation(self) -> Float[Tensor, " views"]:
        """Angle of the camera above the horizon, in [-pi/2, pi/2]."""
        return torch.atan2(self.position[:, 2], self.position[:, :2].norm(dim=-1))

    def rays(self) -> tuple[Float[Tensor, "views height width 3"], Float[Tensor, "views height width 3"]]:
        """Origins and unit directions of the rays through the pixel centres, in the world."""
        rows, columns = (torch.arange(n, device=self.c2w.device).to(self.c2w) for n in (self.height, self.width))
        y, x = self.height / 2 - 0.5 - rows, columns - self.width / 2 + 0.5
        focal = self.height / 2 / torch.tan(self.fov / 2)
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flip(-1) / focal[:, None, None, None]
        local = torch.cat([grid, grid.new_full((*grid.shape[:3], 1), -1.0)], dim=-1)
        directions = torch.nn.functional.normalize(local @ self.c2w[:, None, :3, :3].mT, dim=-1)
        return self.position[:, None, None].expand_as(directions), directions


def concatenate(batches: list[Cameras]) -> Cameras:
    """One batch of all views; the picture size is that of the first."""
    c2w, fov = (torch.cat([getattr(cameras, name) for cameras in batches]) for name in ("c2w", "fov"))
    return replace(batches[0], c2w=c2w, fov=fov)


def direction(azimuth: Float[Tensor, "*shape"], elevation: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape 3"]:
    """Unit vectors from the origin towards cameras at these angles."""
    flat = torch.cos(elevation)
    return torch.stack([flat * torch.cos(azimuth), flat * torch.sin(azimuth), torch.sin(elevation)], dim=-1)


def radians(interval: tuple[float, float]) -> tuple[float, float]:
    """An interval in degrees, in radians."""
    return math.radians(interval[0]), math.radians(interval[1])
