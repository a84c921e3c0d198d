"""The families of weights that installed priors have."""

from collections.abc import Iterable

from gen3d.errors import BadInput, Unavailable
from gen3d.plugins import installed
from gen3d.registry import did_you_mean
from gen3d.weights.family import Family


def families() -> dict[str, Family]:
    """The families of all priors that can be imported, by the prior's name."""
    registry, found = installed().registry, {}
    for name in registry.names("prior"):
        try:
            family = getattr(registry.component("prior", name).load(), "family", None)
        except Unavailable:  # what is wrong with its plugin, `gen3d plugins` tells
            continue
        if isinstance(family, Family):
            found[name] = family
    return found


def family_of(prior: str) -> Family:
    """The family of a prior. Raises BadInput for one that is unknown or has none."""
    known = families()
    if prior not in known:
        raise BadInput(f"no prior {prior!r} has weights", place="--prior", remedy=did_you_mean(prior, known))
    return known[prior]


def claiming(names: Iterable[str], place: str) -> Family:
    """The one family that knows a folder by its files, or a checkpoint by its tensors. Raises BadInput."""
    listed, known = [*names], families()
    found = [family for family in known.values() if family.claims(listed)]
    if len(found) != 1:
        cause = "is of more than one prior" if found else "is no model of a prior that is installed"
        remedy = f"say which: --prior {' or '.join(family.kind for family in found or known.values())}"
        raise BadInput(cause, place=place, remedy=remedy)
    return found[0]
