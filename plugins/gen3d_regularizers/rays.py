"""Sums along rays of packed samples."""

from jaxtyping import Float
from torch import Tensor

from gen3d.errors import Unsupported
from gen3d.views import Samples, Views


def samples_of(views: Views) -> Samples:
    """The samples of these views. Raises Unsupported where the renderer gave none."""
    if views.samples is None:
        raise Unsupported(
            "the renderer gave no samples along rays",
            remedy="choose one that offers them, such as volume, or remove the term",
        )
    return views.samples


def along_rays(samples: Samples, values: Float[Tensor, " samples"]) -> Float[Tensor, " rays"]:
    """The sum of `values` over each ray's samples; 0 for a ray without any."""
    return values.new_zeros(samples.ray_count).index_add(0, samples.rays, values)
