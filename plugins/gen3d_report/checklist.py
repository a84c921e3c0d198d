"""What `gen3d check` says of an asset."""

import json
from contextlib import redirect_stdout
from importlib.metadata import entry_points
from io import StringIO
from pathlib import Path
from typing import Any

from gen3d.errors import Gen3dError


def checklist(asset: Path, preset: str | None = None) -> dict[str, Any] | str:
    """The findings, as the command's `--json` prints them; in words why there are none.

    Args:
        asset: the file.
        preset: whose budget it is held against.
    """
    entry = next(iter(entry_points(group="gen3d.commands", name="check")), None)
    if entry is None:
        return "no plugin brings the command `gen3d check`"
    arguments = [str(asset), "--json", *(("--preset", preset) if preset else ())]
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            entry.load().main(args=arguments, prog_name="check", standalone_mode=False)
        found = json.loads(printed.getvalue())
    except Gen3dError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 (another plugin's, and the page is about more than that)
        return f"the command `gen3d check` failed: {type(error).__name__}: {error}"
    return found if isinstance(found, dict) else "the command `gen3d check` printed nothing"
