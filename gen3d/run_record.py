"""run.json, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Required

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from gen3d.errors import BadInput


class _Record(TypedDict, total=False):
    """What run.json has to hold for a run to be gone on with."""

    status: Required[str]
    name: Required[str]
    stages: Required[dict[str, dict[str, Any]]]
    versions: Required[dict[str, str]]
    sha256: Required[dict[str, str]]
    outputs: list[str]
    warnings: list[str]
    resumed: list[dict[str, Any]]
    weights: dict[str, dict[str, Any]]


def read_record(path: Path) -> dict[str, Any]:
    """What run.json holds. Raises BadInput where there is none, or none that can be resumed."""
    remedy = "give a directory that `gen3d run` has made"
    try:
        record = json.loads((path / "run.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput("is no run directory", place=str(path), remedy=remedy) from error
    try:
        TypeAdapter(_Record).validate_python(record, strict=True)
        missing = {"resolved.yaml"} - record["sha256"].keys() | ({"outputs"} if record["status"] == "done" else set())
        if missing - record.keys():
            raise ValueError(f"{', '.join(missing)} is missing")  # noqa: TRY301 (the same message)
    except ValueError as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(error)
        cause = f"is no run.json of this version: {reason}"
        raise BadInput(cause, place=str(path / "run.json"), remedy=remedy) from error
    result: dict[str, Any] = record
    return result
