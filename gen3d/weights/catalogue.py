"""All weights that have a name: published, shipped, fetched and added."""

from dataclasses import asdict, dataclass, field
from typing import Any

from gen3d.weights import store
from gen3d.weights.families import families
from gen3d.weights.family import Family
from gen3d.weights.places import shipped


@dataclass(frozen=True)
class Row:
    """What `gen3d weights list` shows of one name.

    Args:
        name: what recipes call them.
        prior: whose they are.
        status: "here", "not here", or "incomplete".
        gigabytes: on the disk; of those that are not here, about as much is downloaded.
        licence: in a few words.
        place: the folder, or where they are fetched from.
        source: where they came from.
        revision: the commit that they were fetched at.
        options: what the files do not tell.
    """

    name: str
    prior: str
    status: str
    gigabytes: float
    licence: str
    place: str
    source: str = ""
    revision: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """A plain object with these names."""
        return asdict(self)


def catalogue() -> list[Row]:
    """Every name that a recipe can use for weights, sorted by prior and name."""
    rows = {(entry.kind, entry.name): _row(entry) for entry in store.entries()}
    for family in families().values():
        for row in (*_shipped(family), *_published(family)):
            rows.setdefault((row.prior, row.name), row)
    return [rows[key] for key in sorted(rows)]


def _row(entry: store.Entry) -> Row:
    status = "incomplete" if entry.incomplete() else "here"
    about = (entry.source, entry.revision, dict(entry.options))
    return Row(entry.name, entry.kind, status, round(entry.size / 1e9, 3), entry.licence, str(entry.folder), *about)


def _shipped(family: Family) -> list[Row]:
    rows = []
    for name, folder in shipped(family.kind).items():
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        rows.append(
            Row(name, family.kind, "here", round(size / 1e9, 3), "its model card", str(folder), f"plugin {name}")
        )
    return rows


def _published(family: Family) -> list[Row]:
    return [
        Row(name, family.kind, "not here", about.gigabytes, about.licence, ", ".join(about.sources), about.sources[0])
        for name, about in family.published.items()
    ]
