"""List the installed plugins, what they provide, and why one failed."""

import json

import click


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="A list of objects: name, version, status, error, provides.")
def command(*, as_json: bool) -> None:
    """List the installed plugins."""
    from gen3d.plugins import installed

    statuses = installed().statuses
    if as_json:
        click.echo(json.dumps([status.as_json() for status in statuses], indent=2))
        return
    if not statuses:
        click.echo("no plugins are installed: run `pip install -e .` again")
    for status in statuses:
        click.echo(f"{status.name:16} {status.version:10} {status.error or ', '.join(status.provides) or 'ok'}")
