"""Errors of the hub's client as a person is told them."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from gen3d.errors import BadInput, Gen3dError, Unavailable

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when a disk is full, or a person's share of it."""

_CLIENTS = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")
"""Packages whose errors mean that the network failed; which of them the hub's client uses depends on its version."""


_REFUSALS: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((GatedRepoError,), "is gated", "accept its terms on {page}, then: hf auth login"),
    (
        (RepositoryNotFoundError, DisabledRepoError),  # a gated one is a kind of the first
        "is gone from the hub, or private",
        "add a copy from elsewhere: gen3d weights add NAME SOURCE   ({page} has nothing to give)",
    ),
    ((RevisionNotFoundError, EntryNotFoundError), "has no such revision or file any more", "see {page}"),
)
"""Kinds of errors, with cause and remedy."""


class Refused(Unavailable):
    """One repository cannot be had; another may hold the same."""


@contextmanager
def told(repository: str) -> Iterator[None]:
    """Raise what the client raises as a Gen3dError: Refused where the repository is the reason, else Unavailable."""
    try:
        yield
    except Exception as error:
        known = _answer(error, repository) or _failure(error, repository)
        if known is None:
            raise
        raise known from error


def offline(repository: str) -> Unavailable:
    """The network may not be used."""
    remedy = "unset HF_HUB_OFFLINE, or fetch on another machine and: gen3d weights add NAME FOLDER"
    return Unavailable("the network is switched off by HF_HUB_OFFLINE", place=repository, remedy=remedy)


def _answer(error: BaseException, place: str) -> Gen3dError | None:
    """What the hub has answered; None for errors that are no answer."""
    if isinstance(error, HFValidationError):
        return BadInput(f"is no repository: {error}", place=place, remedy="give owner/name")
    if not isinstance(error, HfHubHTTPError) or isinstance(error, LocalEntryNotFoundError):
        return None
    page, code = f"{constants.ENDPOINT}/{re.split('[:@]', place)[0]}", error.response.status_code
    for kinds, cause, remedy in _REFUSALS:
        if isinstance(error, kinds):
            return Refused(cause, place=place, remedy=remedy.format(page=page))
    if code in (401, 403):
        remedy = f"log in with an account that may read {page}: hf auth login"
        return Refused(f"is not given to this account (HTTP {code})", place=place, remedy=remedy)
    return Unavailable(f"the hub does not answer as it should (HTTP {code})", place=place, remedy="try again later")


def _failure(error: BaseException, place: str) -> Gen3dError | None:
    """Why nothing was asked, or no answer arrived; None for errors of any other kind."""
    again, cause = "fetch again: it goes on where it was", error.__cause__
    if isinstance(error, OfflineModeIsEnabled):
        return offline(place)
    if isinstance(error, OSError) and error.errno in FULL:
        remedy = f"make room, or set HF_HOME to a folder on another disk; then {again}"
        return Unavailable("the disk is full", place=constants.HF_HUB_CACHE, remedy=remedy)
    if isinstance(error, OSError) and "onsistency check" in str(error):
        return Unavailable("the download was cut short", place=place, remedy=again)
    network = isinstance(error, ConnectionError | TimeoutError)
    if network or type(error).__module__.partition(".")[0] in _CLIENTS:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        return Unavailable(f"{constants.ENDPOINT} cannot be reached: {reason}", place=place, remedy=again)
    wrapped = isinstance(error, LocalEntryNotFoundError) and cause is not None
    return _answer(cause, place) or _failure(cause, place) if wrapped and cause is not None else None
