"""Pictures as targets: `reference_view` holds the object to the input picture, `decoded_views` to decoded latents."""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """Two guidances."""
    registry.guidance("reference_view", "gen3d_reference.reference_view:ReferenceView")
    registry.guidance("decoded_views", "gen3d_reference.decoded_views:DecodedViews")
