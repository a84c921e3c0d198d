"""List, fetch, add, convert and verify the weights of frozen networks."""

import json
from pathlib import Path
from typing import Any

import click


@click.group("weights")
def command() -> None:
    """Weights of frozen networks: what is published, what is here, and getting more."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
def list_(as_json: bool) -> None:
    """List published weights, and those that were fetched or added."""
    from gen3d.weights.catalogue import catalogue

    rows = catalogue()
    if as_json:
        click.echo(json.dumps([row.as_json() for row in rows], indent=2))
        return
    for row in rows:
        click.echo(f"{row.name:18} {row.prior:17} {row.status:11} {row.gigabytes:6.2f} GB  {row.licence}")
        click.echo(f"{'':18} {row.place}")


@command.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch the weights NAME: what is needed of them, from the first repository that has them.

    Of weights that are here already, the content is checked, without the network.
    """
    from gen3d.weights.manage import fetch

    click.echo(fetch(name, _say).folder)


@command.command()
@click.argument("name")
@click.argument("source")
@click.argument("options", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--prior", help="Whose weights they are; by default whichever knows them.")
def add(name: str, source: str, options: tuple[str, ...], prior: str | None) -> None:
    """Call weights NAME: a folder, a checkpoint file, or a repository of the hub.

    \b
    gen3d weights add mine ~/models/105000.ckpt
    gen3d weights add stable ~/models/stable_zero123.ckpt pose=polar
    gen3d weights add theirs OWNER/REPOSITORY@REVISION
    """
    from gen3d.weights.manage import add

    click.echo(add(name, source, prior, _pairs(options), _say).folder)


@command.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("options", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--prior", help="Whose weights they are; by default whichever knows them.")
def convert(source: Path, out: Path, options: tuple[str, ...], prior: str | None) -> None:
    """Write the weights SOURCE, a checkpoint file or a folder, as the folder OUT in diffusers' layout."""
    from gen3d.weights.convert import convert

    click.echo(convert(source, out, prior, _pairs(options), _say))


@command.command()
@click.argument("name")
def verify(name: str) -> None:
    """Compare the files of the weights NAME with what they were when they were fetched or added."""
    from gen3d.errors import BadInput
    from gen3d.weights.manage import verify

    entry, damaged = verify(name)
    if damaged:
        cause = f"{', '.join(damaged)}: missing, or not what {'it was' if len(damaged) == 1 else 'they were'}"
        raise BadInput(cause, place=str(entry.folder), remedy=entry.again)
    click.echo(f"{name}: {len(entry.files)} files as they were")


def _say(text: str) -> None:
    click.echo(text, err=True)


def _pairs(options: tuple[str, ...]) -> dict[str, Any]:
    from gen3d.errors import BadInput

    pairs = dict(option.partition("=")[::2] for option in options)
    if not all(map(str.__contains__, options, "=" * len(options))):
        raise BadInput(f"{' '.join(options)!r} is no KEY=VALUE", place="command line", remedy="write pose=polar")
    return pairs
