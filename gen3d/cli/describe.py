"""Show the recipe keys of a component."""

import click


@click.command("describe")
@click.argument("kind", required=False)
@click.argument("name", required=False)
def command(kind: str | None, name: str | None) -> None:
    """Show the keys of the component NAME of KIND; without NAME list that kind, without KIND everything.

    \b
    gen3d describe guidance distill
    """
    from gen3d.describe import describe
    from gen3d.errors import BadInput
    from gen3d.plugins import installed
    from gen3d.registry import KINDS, did_you_mean

    registry = installed().registry
    if kind is not None and kind not in KINDS:
        raise BadInput(f"unknown kind {kind!r}", remedy=did_you_mean(kind, KINDS))
    if kind and name:
        click.echo(describe(registry.component(kind, name)))
        return
    for each in [kind] if kind else KINDS:
        click.echo(f"{each:16} {', '.join(registry.names(each))}")
