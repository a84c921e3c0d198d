"""Audit an exported file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gen3d_export.audit.report import Report

STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red"}


@click.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--preset", help="Hold it against the budget of mobile, prop, hero or film.")
@click.option(
    "--against", metavar="RUN", type=click.Path(path_type=Path), help="Compare renders with the run's object."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: Path, *, preset: str | None, against: Path | None, as_json: bool) -> int:
    """Audit FILE (GLB, glTF, OBJ, PLY, USDZ): shape, texture, material, names, cost. Exits with 5 where it fails.

    \b
    gen3d check asset/asset.glb --preset prop
    """
    import json

    from gen3d.errors import Degenerate
    from gen3d_export.audit.check import check as audit

    report = audit(file, preset, against)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=1))
    else:
        _print(report)
    return 0 if report.passed else Degenerate.exit_code


def _print(report: "Report") -> None:
    """A table, with what to do below it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("check", "", "measured", "limit")
    for finding in report.findings:
        state = Text(finding.status, style=STYLES[finding.status])
        table.add_row(Text(finding.name), state, Text(finding.value), Text(finding.limit))
    Console().print(table)
    for finding in report.findings:
        if finding.remedy:
            click.echo(f"{finding.name}: {finding.remedy}")
    counts = {state: sum(finding.status == state for finding in report.findings) for state in STYLES}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    click.echo(f"{report.path}: {told}" + (f" (preset {report.preset})" if report.preset else ""))
