"""Write the skeleton of a plugin: a working guidance with its recipe and its test."""

from pathlib import Path

import click


@click.command("new-plugin")
@click.argument("name")
@click.option("--directory", type=click.Path(path_type=Path), default=Path(), help="Where it goes; default: here.")
def command(name: str, directory: Path) -> None:
    """Write the folder gen3d-NAME: a working guidance with its entry point, its recipe and its test.

    \b
    gen3d new-plugin palette
    pip install -e gen3d-palette
    gen3d plugins
    """
    from gen3d.new_plugin import new_plugin

    written = new_plugin(name, directory)
    for path in written:
        click.echo(path)
    click.echo(f"now: pip install -e {written[0].parent} && gen3d plugins")
