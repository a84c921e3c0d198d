"""Wavefront OBJ, and the materials and pictures beside it."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from gen3d_export.audit.read import sorted_out
from gen3d_export.audit.scene import Material, Picture, Piece, Role, Scene

MAPS: dict[str, Role] = {
    "map_Kd": "base_color",
    "map_Pr": "roughness",
    "map_Pm": "metallic",
    "norm": "normal",
    "map_Bump": "normal",
}
ABSENT = 0
"""Index of what a corner does not have: those in the file begin at 1."""


def read(path: Path) -> Scene:
    """Every object, split by material."""
    file = Wavefront(path)
    names = [*file.objects, *file.materials]
    return sorted_out(path, list(file.pieces()), names, files=tuple(file.files))


class Wavefront:
    """A file's rows.

    Args:
        path: of the .obj.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.files = path, [path]
        self.rows: dict[str, list[list[float]]] = {"v": [], "vt": [], "vn": []}
        self.materials: dict[str, Material] = {}
        self.objects: list[str] = []
        self.faces: dict[tuple[str, str], list[list[list[int]]]] = {}
        name = material = ""
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, rest = line.strip().partition(" ")
            if key in self.rows:
                self.rows[key].append([float(word) for word in rest.split()])
            elif key == "f":
                corners = [self._corner(word) for word in rest.split()]
                fan = [[corners[0], *pair] for pair in pairwise(corners[1:])]
                self.faces.setdefault((name, material), []).extend(fan)
            elif key in {"o", "g"}:
                name = rest.strip()
                self.objects.append(name)
            elif key == "usemtl":
                material = rest.strip()
            elif key == "mtllib":
                self._read_materials(path.parent / rest.strip())

    def _corner(self, word: str) -> list[int]:
        """Indices of position, texture coordinates and normal, from 1."""
        found = [int(part) if part else ABSENT for part in [*word.split("/"), "", ""][:3]]
        counts = [len(self.rows[key]) for key in ("v", "vt", "vn")]
        return [index + count + 1 if index < 0 else index for index, count in zip(found, counts, strict=True)]

    def _read_materials(self, path: Path) -> None:
        self.files.append(path)
        blocks: dict[str, dict[str, str]] = {}
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, rest = line.strip().partition(" ")
            if key == "newmtl":
                block = blocks.setdefault(rest.strip(), {})
            elif blocks:
                block[key] = rest.strip()
        self.materials |= {name: self._material(name, block) for name, block in blocks.items()}

    def _material(self, name: str, block: dict[str, str]) -> Material:
        pictures: dict[Role, Picture] = {role: self._picture(block[key]) for key, role in MAPS.items() if key in block}
        red, green, blue = (float(word) for word in block.get("Kd", "1 1 1").split())
        opacity = float(block["d"]) if "d" in block else 1 - float(block.get("Tr", 0))
        factors = [float(block[key]) if key in block else None for key in ("Pm", "Pr")]
        return Material(name, factors[0], factors[1], (red, green, blue), opacity, pictures)

    def _picture(self, words: str) -> Picture:
        path = self.path.parent / words.rsplit(maxsplit=1)[-1]  # options stand before the name
        self.files.append(path)
        with Image.open(path) as picture:
            return Picture(path.name, np.asarray(picture.convert("RGB")), wraps=True)

    def pieces(self) -> Iterator[Piece]:
        """The faces of each object and material, over vertices that differ in anything."""
        for (name, material), faces in self.faces.items():
            table = np.array(faces, dtype=np.int64).reshape(-1, 3)
            corners, order = np.unique(table, axis=0, return_inverse=True)
            positions = self._taken("v", corners[:, 0], 3)
            assert positions is not None
            yield Piece(
                name or material or self.path.stem,
                positions,
                order.reshape(-1, 3),
                normals=self._taken("vn", corners[:, 2], 3),
                uv=self._taken("vt", corners[:, 1], 2),
                material=self.materials.get(material),
            )

    def _taken(
        self, key: str, index: Int[np.ndarray, " corners"], width: int
    ) -> Float[np.ndarray, "corners width"] | None:
        """Rows by their numbers; None where a corner has none."""
        if (index == ABSENT).any():
            return None
        return np.array([row[:width] for row in self.rows[key]], dtype=np.float64)[index - 1]
