"""What writes the finished object to files."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from gen3d.part import Part
from gen3d.representation import Representation


class Exporter(Part):
    """Turns a representation into files that other programs read. Only exporters leave the world's frame."""

    provenance: Mapping[str, Any] = MappingProxyType({})
    """What the object was made with (`gen3d.credits`), for the files; set before `export` is called."""

    @abstractmethod
    def export(self, representation: Representation, directory: Path, name: str = "asset") -> list[Path]:
        """Write `directory/name.*`, all or nothing, and return the paths, the main one first.

        Raises Degenerate where there is no surface to write.
        """


@runtime_checkable
class FileExporter(Protocol):
    """An exporter that can do the same to the mesh of a file, for `gen3d export --from`."""

    def export_file(self, file: Path, directory: Path, name: str = "asset") -> list[Path]:
        """Write `directory/name.*`, all or nothing, and return the paths, the main one first.

        Raises BadInput where the file is no mesh that can be used, Degenerate where it is no object.
        """
