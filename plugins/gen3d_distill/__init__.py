"""Score distillation: the guidance `distill` (any prior with any objective), and one file per objective."""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """`distill`, and the objectives."""
    registry.guidance("distill", "gen3d_distill.distill:Distill")
    registry.objective("sds", "gen3d_distill.sds:SDS")
    registry.objective("sjc", "gen3d_distill.sjc:SJC")
    registry.objective("vsd", "gen3d_distill.vsd:VSD")
    registry.objective("csd", "gen3d_distill.csd:CSD")
    registry.objective("nfsd", "gen3d_distill.nfsd:NFSD")
    registry.objective("asd", "gen3d_distill.asd:ASD")
    registry.objective("ism", "gen3d_distill.ism:ISM")
    registry.objective("sdi", "gen3d_distill.sdi:SDI")
