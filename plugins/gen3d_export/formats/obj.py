"""Wavefront OBJ with its material, and the pictures beside them."""

from pathlib import Path

import numpy as np

from gen3d_export.asset import Body, Maps
from gen3d_export.formats.pictures import METALLIC, ROUGHNESS, png


def write_obj(path: Path, name: str, body: Body) -> None:
    """The mesh, with `name.mtl` and the pictures `name_*.png` beside it."""
    corners = np.repeat(body.faces + 1, 3, axis=1)
    lines = [f"mtllib {name}.mtl", f"o {name}"]
    for key, rows in (("v", body.vertices), ("vt", body.uv), ("vn", body.normals)):
        lines += [f"{key} " + " ".join(f"{value:.7g}" for value in row) for row in rows.tolist()]
    lines += [f"usemtl {name}"]
    lines += ["f {}/{}/{} {}/{}/{} {}/{}/{}".format(*row) for row in corners.tolist()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    maps, pictures = _material(name, body.maps)
    path.with_name(f"{name}.mtl").write_text("\n".join(maps) + "\n", encoding="utf-8")
    for file, picture in pictures.items():
        path.with_name(file).write_bytes(png(picture))


def _material(name: str, maps: Maps) -> tuple[list[str], dict[str, np.ndarray]]:
    """Lines of the MTL, and the pictures that they name.

    `Pr`, `Pm` and `norm` are the extension for physically based materials that Blender, Assimp and others read. No
    `Tr`: some programs write 1 for opaque, and those that follow the format then show nothing.
    """
    lines = [f"newmtl {name}", "Ka 0 0 0", "Kd 1 1 1", "Ks 0 0 0", "d 1", "illum 1", f"map_Kd {name}_base_color.png"]
    pictures = {f"{name}_base_color.png": maps.base_color}
    if maps.orm is None:
        lines += [f"Pr {ROUGHNESS}", f"Pm {METALLIC}"]
    else:
        lines += ["Pr 1", "Pm 1", f"map_Pr {name}_roughness.png", f"map_Pm {name}_metallic.png"]
        pictures |= {f"{name}_roughness.png": maps.orm[..., 1], f"{name}_metallic.png": maps.orm[..., 2]}
    if maps.normal is not None:
        lines += [f"norm {name}_normal.png"]
        pictures[f"{name}_normal.png"] = maps.normal
    return lines, pictures
