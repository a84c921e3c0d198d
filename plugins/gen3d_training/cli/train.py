"""Train a prior."""

import click


@click.command("train")
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def train(recipe: str, overrides: tuple[str, ...]) -> None:
    """Train what RECIPE describes; it goes on where it was interrupted (Ctrl-C saves).

    \b
    gen3d render-dataset MESHES data/mini_views --views 24
    gen3d train recipes/train/zero123_mini.yaml dataset=data/mini_views
    """
    from gen3d_training.train import train as run

    click.echo(run(recipe, overrides))
