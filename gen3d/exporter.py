"""What writes the finished object to files."""

from abc import abstractmethod
from pathlib import Path

from gen3d.part import Part
from gen3d.representation import Representation


class Exporter(Part):
    """Turns a representation into files that other programs read. Only exporters leave the world's frame."""

    @abstractmethod
    def export(self, representation: Representation, directory: Path, name: str = "asset") -> list[Path]:
        """Write `directory/name.*`, all or nothing, and return the paths, the main one first.

        Raises Degenerate where there is no surface to write.
        """
