"""Score distillation: the guidance `distill` (any prior with any objective), and one file per objective."""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """`distill`, and the objectives."""
    registry.guidance("distill", "gen3d_distill.distill:Distill")
    registry.objective("sds", "gen3d_distill.sds:SDS")
    registry.objective("sjc", "gen3d_distill.sjc:SJC")
