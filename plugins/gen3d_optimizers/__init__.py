"""Adam and its relatives, with a learning rate and a schedule of its own for each parameter group."""

from gen3d import Registrar, hookimpl


@hookimpl
def register_components(registry: Registrar) -> None:
    """Offer the optimizers `adam`, `adamw` and `adamax`."""
    registry.optimizer("adam", "gen3d_optimizers.adam:Adam")
    registry.optimizer("adamw", "gen3d_optimizers.adam:AdamW")
    registry.optimizer("adamax", "gen3d_optimizers.adam:Adamax")
