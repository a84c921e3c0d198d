"""Where weights are: a folder, a plugin that ships them, or what was fetched before."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from gen3d.errors import BadInput, Unavailable
from gen3d.registry import did_you_mean


def find(name: str, kind: str, hub: Mapping[str, str]) -> Path:
    """The folder of some weights.

    Args:
        name: a folder; a plugin that ships weights (`mini`); a short name of `hub`; or a repository "owner/name".
        kind: the prior they are for; a plugin ships them in `weights/KIND`.
        hub: published weights by short name, and the repositories that hold them in diffusers' layout.

    Raises:
        Unavailable: they are not on this machine; the message says how to fetch them.
        BadInput: nothing has that name.
    """
    shipped = _shipped(kind)
    if name in shipped:
        return shipped[name]
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    repository = hub.get(name, name)
    if repository.count("/") != 1 or name.startswith((".", "/", "~")):
        known = did_you_mean(name, [*hub, *shipped])
        raise Unavailable(
            "no such folder of weights", place=f"weights: {name}", remedy=f"give a folder or a name; {known}"
        )
    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except LocalEntryNotFoundError as error:
        remedy = f"fetch them: hf download {repository}   (several GB)\n  or use the embedded ones: weights: mini"
        raise Unavailable("these weights are not on this machine", place=f"weights: {name}", remedy=remedy) from error
    except HFValidationError as error:
        raise BadInput(f"is no name of weights: {error}", place=f"weights: {name}") from error


def _shipped(kind: str) -> dict[str, Path]:
    """Weights that installed plugins bring in `weights/KIND`, by the plugin's name."""
    found = {}
    for entry in entry_points(group="gen3d"):
        spec = find_spec(entry.module.partition(".")[0])
        for root in (spec.submodule_search_locations or ()) if spec else ():
            folder = Path(root) / "weights" / kind
            if folder.is_dir():
                found[entry.name] = folder
    return found
