"""Write the page about a run again."""

from pathlib import Path

import click


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
def report(run: Path) -> None:
    """Write report.html into the run directory RUN, from the files in it: one page that opens without a network.

    \b
    gen3d report runs/barrel
    """
    from gen3d_report.report import report as write

    click.echo(write(run))
