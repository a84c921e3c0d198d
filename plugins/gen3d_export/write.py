"""All files of an asset."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from gen3d_export.asset import Asset, Body, Hull
from gen3d_export.engines import ENGINES, EngineName
from gen3d_export.formats.glb import write_glb
from gen3d_export.formats.obj import write_obj
from gen3d_export.formats.ply import write_ply
from gen3d_export.formats.usdz import write_usdz
from gen3d_export.formats.web import Compress, write_web

Format = Literal["glb", "obj", "ply", "usdz"]

WRITERS: dict[Format, Callable[[Path, str, Body], None]] = {
    "glb": write_glb,
    "obj": write_obj,
    "ply": write_ply,
    "usdz": write_usdz,
}


def write(
    asset: Asset, folder: Path, stem: str, formats: list[Format], engine: EngineName | None, compress: Compress | None
) -> None:
    """Every level in every format as `stem.*`, `stem_LOD1.*`, ..., `stem_collision.glb`, and `stem.web.glb`."""
    wants, finest, hulls = ENGINES[engine], asset.levels[0], hull_names(asset, engine)
    for level, body in enumerate(asset.levels):
        name = f"{asset.name}_lod{level}" if level else asset.name
        for kind in formats:
            WRITERS[kind](folder / level_file(stem, level, kind), name, body)
    if hulls and wants.hulls_in_main and "glb" in formats:
        write_glb(folder / level_file(stem, 0, "glb"), asset.name, finest, hulls)
    if hulls:
        beside = finest if wants.body_in_collision else None
        write_glb(folder / f"{stem}_collision.glb", asset.name, beside, hulls)
    if compress:
        write_web(folder / f"{stem}.web.glb", asset.name, finest, compress)


def level_file(stem: str, level: int, kind: Format) -> str:
    """The name of the file of a level of detail."""
    return f"{stem}_LOD{level}.{kind}" if level else f"{stem}.{kind}"


def hull_names(asset: Asset, engine: EngineName | None) -> dict[str, Hull]:
    """The hulls by the names that the engine knows them by."""
    pattern = ENGINES[engine].hull
    return {pattern.format(name=asset.name, number=number): hull for number, hull in enumerate(asset.hulls)}


def plain_name(stem: str) -> str:
    """A name of a-z, 0-9, _ and - alone: what every engine takes."""
    return re.sub(r"[^a-z0-9_-]+", "_", stem.lower()).strip("_-") or "asset"


def forget(directory: Path, stem: str, written: list[Path]) -> None:
    """Remove levels of detail and hulls that an earlier export of this name left and this one has not."""
    old = re.compile(rf"{re.escape(stem)}(_LOD\d+\.(glb|obj|ply|usdz)|_collision\.glb|\.web\.glb)")
    for path in directory.iterdir():
        if old.fullmatch(path.name) and path not in written:
            path.unlink()
