"""List, print and copy the shipped recipes."""

from pathlib import Path

import click


@click.group("recipes", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the shipped recipes."""
    if ctx.invoked_subcommand is None:
        from gen3d.recipe import available

        for path in available():
            first = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
            click.echo(f"{path.stem:24} {first}")


@command.command()
@click.argument("name")
def cat(name: str) -> None:
    """Print the recipe NAME."""
    from gen3d.recipe import find

    click.echo(find(name).read_text(encoding="utf-8"), nl=False)


@command.command()
@click.argument("name")
@click.argument("out", type=click.Path(path_type=Path), default=Path())
def cp(name: str, out: Path) -> None:
    """Copy the recipe NAME to OUT, a file or a folder, to be changed there."""
    from gen3d.errors import BadInput
    from gen3d.recipe import find

    source = find(name)
    target = out / source.name if out.is_dir() else out
    if target.exists():
        raise BadInput("already exists", place=str(target), remedy="give another name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", place=str(target), remedy="give another name") from error
    click.echo(target)
