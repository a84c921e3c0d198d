"""What a renderer gives: pictures of the object from a batch of cameras."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from gen3d.cameras import Cameras
from gen3d.errors import Unsupported

Space = Literal["rgb", "latent"]


@dataclass(frozen=True, eq=False)
class Samples:
    """The points along rays that a picture was composited from, packed: rays differ in how many they have.

    Args:
        weights: compositing weight of each sample, alpha times transmittance.
        rays: index of each sample's ray, rays counted row-major over (views, height, width).
        distances: from the camera centre along the ray, world units.
        directions: unit direction of each sample's ray.
        normals: unit normal of the density at each sample, outwards; only where normals were asked for.
        ray_count: number of rays, those without samples included.
        slots: samples that the longest ray could hold; published means run over ray_count * slots.
    """

    weights: Float[Tensor, " samples"]
    rays: Int[Tensor, " samples"]
    distances: Float[Tensor, " samples"]
    directions: Float[Tensor, "samples 3"]
    normals: Float[Tensor, "samples 3"] | None
    ray_count: int
    slots: int


@dataclass(frozen=True, eq=False)
class Views:
    """Pictures of the object, differentiable with respect to it.

    Args:
        cameras: where they were taken from.
        image: the picture over the background: sRGB in [0, 1], or diffusion latents, as `space` says.
        space: what `image` holds.
        alpha: opacity, in [0, 1].
        depth: expected distance along the ray, the background counted as the renderer states.
        normal: unit outward normals composited over 0, in the world; on request.
        samples: what the pictures were composited from; on request.
    """

    cameras: Cameras
    image: Float[Tensor, "views height width channels"]
    space: Space
    alpha: Float[Tensor, "views height width 1"]
    depth: Float[Tensor, "views height width 1"]
    normal: Float[Tensor, "views height width 3"] | None = None
    samples: Samples | None = None

    @property
    def color(self) -> Float[Tensor, "views height width 3"]:
        """The picture as sRGB. Raises Unsupported where the field holds latents."""
        if self.space != "rgb":
            raise Unsupported(
                "this needs colours, and the field holds latents",
                remedy="set representation.channels=rgb, or use the term in a later stage that has colours",
            )
        return self.image
