"""Budgets by the use of an asset."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """What an asset may cost.

    Args:
        triangles: of the finest level.
        texture: texels along a side.
        padding: texels between charts, 2^k for k mipmaps to protect.
        normal_map: whether the detail that decimation takes away goes into a normal map.
    """

    triangles: int
    texture: int
    padding: int
    normal_map: bool


PRESETS = {
    "mobile": Preset(5_000, 1024, 4, normal_map=False),
    "prop": Preset(10_000, 1024, 4, normal_map=True),
    "hero": Preset(30_000, 2048, 8, normal_map=True),
    "film": Preset(200_000, 4096, 16, normal_map=True),
}
