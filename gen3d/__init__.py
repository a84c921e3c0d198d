"""gen3d: a picture or a sentence in, a textured 3D asset out.

The public names load lazily, so that `import gen3d` (and `gen3d --help`) imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gen3d.cameras import Cameras as Cameras
    from gen3d.errors import BadInput as BadInput
    from gen3d.errors import Degenerate as Degenerate
    from gen3d.errors import Gen3dError as Gen3dError
    from gen3d.errors import Unavailable as Unavailable
    from gen3d.errors import Unsupported as Unsupported
    from gen3d.exporter import Exporter as Exporter
    from gen3d.guidance import Adapter as Adapter
    from gen3d.guidance import Condition as Condition
    from gen3d.guidance import Guidance as Guidance
    from gen3d.guidance import Objective as Objective
    from gen3d.guidance import Prior as Prior
    from gen3d.guidance import Residual as Residual
    from gen3d.guidance import Signal as Signal
    from gen3d.hookspecs import hookimpl as hookimpl
    from gen3d.optimizer import Optimizer as Optimizer
    from gen3d.part import Part as Part
    from gen3d.part import Stage as Stage
    from gen3d.part import Step as Step
    from gen3d.registry import Registrar as Registrar
    from gen3d.renderer import Renderer as Renderer
    from gen3d.representation import RadianceField as RadianceField
    from gen3d.representation import Representation as Representation
    from gen3d.representation import Surface as Surface
    from gen3d.representation import Triangles as Triangles
    from gen3d.schedule import Schedule as Schedule
    from gen3d.views import Samples as Samples
    from gen3d.views import Views as Views

_HOME = {
    "cameras": ("Cameras",),
    "errors": ("BadInput", "Degenerate", "Gen3dError", "Unavailable", "Unsupported"),
    "exporter": ("Exporter",),
    "guidance": ("Adapter", "Condition", "Guidance", "Objective", "Prior", "Residual", "Signal"),
    "hookspecs": ("hookimpl",),
    "optimizer": ("Optimizer",),
    "part": ("Part", "Stage", "Step"),
    "registry": ("Registrar",),
    "renderer": ("Renderer",),
    "representation": ("RadianceField", "Representation", "Surface", "Triangles"),
    "schedule": ("Schedule",),
    "views": ("Samples", "Views"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE)  # noqa: PLE0605 (computed from the table above)


def __getattr__(name: str) -> object:
    if name not in _MODULE:
        msg = f"module 'gen3d' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"gen3d.{_MODULE[name]}"), name)
