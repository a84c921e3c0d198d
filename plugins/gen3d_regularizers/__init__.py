"""Regularizers: guidances without a prior, one file per term, each with its formula and where it was published."""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """One guidance per file."""
    registry.guidance("center_depth", "gen3d_regularizers.center_depth:CenterDepth")
    registry.guidance("depth_smoothness", "gen3d_regularizers.depth_smoothness:DepthSmoothness")
    registry.guidance("emptiness", "gen3d_regularizers.emptiness:Emptiness")
    registry.guidance("entropy", "gen3d_regularizers.entropy:Entropy")
    registry.guidance("near_view_consistency", "gen3d_regularizers.near_view_consistency:NearViewConsistency")
    registry.guidance("normal_smoothness", "gen3d_regularizers.normal_smoothness:NormalSmoothness")
    registry.guidance("opacity", "gen3d_regularizers.opacity:Opacity")
    registry.guidance("orientation", "gen3d_regularizers.orientation:Orientation")
    registry.guidance("weight_entropy", "gen3d_regularizers.weight_entropy:WeightEntropy")
    registry.guidance("z_variance", "gen3d_regularizers.z_variance:ZVariance")
