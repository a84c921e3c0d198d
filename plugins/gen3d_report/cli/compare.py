"""Show two runs side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gen3d_report.compare import Comparison


@click.command("compare")
@click.argument("left", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("right", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), help="A page, .html, or the pictures, .png.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(left: Path, right: Path, *, output: Path | None, as_json: bool) -> None:
    """Show what two run directories were asked, and what came of them: recipe, time, memory, terms, asset, Janus score.

    \b
    gen3d compare runs/barrel runs/barrel-2 --output both.html
    """
    import json

    from gen3d_report.compare import compare as read

    found = read(left, right, output)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
    else:
        _print(found)
        if output is not None:
            click.echo(output)


def _print(found: "Comparison") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    console = Console()
    names = str(found.left.path), str(found.right.path)
    table = Table("", *map(escape, names))
    for row in found.rows:
        table.add_row(*map(Text, row), style="bold" if row[1] != row[2] else None)
    console.print(table)
    if not found.recipe:
        click.echo("their recipes are the same")
        return
    differences = Table("where their recipes differ", *map(escape, names))
    for key, pair in found.recipe.items():
        differences.add_row(Text(key), *(Text("—" if value is None else str(value)) for value in pair))
    console.print(differences)
