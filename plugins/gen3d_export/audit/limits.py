"""What an asset may cost, by its preset."""

from dataclasses import dataclass

from gen3d.errors import BadInput
from gen3d.registry import did_you_mean
from gen3d_export.presets import PRESETS

MEGABYTES = {"mobile": 6.0, "prop": 12.0, "hero": 40.0, "film": 200.0}
"""Of the file: what three 8-bit pictures of the preset's size hardly exceed as PNG, with its triangles."""

DECIBELS = {"mobile": 4.0, "prop": 3.0, "hero": 1.5, "film": 1.0}
"""By which a picture of the asset may be further from the field's than that of the dense mesh is, which no texture or
decimation has touched. Measured on unlit colours, so that normal maps, which few tools light alike, count for nothing.
"""


@dataclass(frozen=True)
class Limits:
    """The limits of a preset; None: no limit is known, and the figure is only told.

    Args:
        triangles: drawn.
        texture: texels along a side.
        padding: texels between charts.
        normal_map: whether one is expected.
        megabytes: of the file, in 10^6 bytes.
        decibels: of PSNR that may be lost against the dense mesh.
    """

    triangles: int | None = None
    texture: int | None = None
    padding: int | None = None
    normal_map: bool = False
    megabytes: float | None = None
    decibels: float | None = None

    @classmethod
    def of(cls, preset: str | None) -> "Limits":
        """Those of the preset of that name. Raises BadInput where there is none."""
        if preset is None:
            return cls()
        if preset not in PRESETS:
            raise BadInput(f"unknown preset {preset!r}", remedy=did_you_mean(preset, PRESETS))
        found = PRESETS[preset]
        sizes = MEGABYTES[preset], DECIBELS[preset]
        return cls(found.triangles, found.texture, found.padding, found.normal_map, *sizes)
