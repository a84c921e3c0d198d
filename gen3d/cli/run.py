"""Run a recipe: every stage, then the export."""

import click

from gen3d.cli import PORT


@click.command("run")
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--profile", help="Lay a named overlay of the recipe over it, such as mini.")
@click.option("--vram", help="What it may take of the GPU's memory, such as 8GB; default: what is free.")
@click.option("--log", "logs", multiple=True, metavar="NAME", help="bar, plain, json, tensorboard: one or more.")
@click.option("--watch", is_flag=True, help=f"Show the object in a browser while it is optimised, at port {PORT}.")
@click.option("--port", type=click.IntRange(1, 65535), help="Watch at this port, or at the next that is free.")
@click.option("--dry-run", is_flag=True, help="Resolve, validate and print; load no weights, write nothing.")
def command(
    recipe: str,
    overrides: tuple[str, ...],
    profile: str | None,
    vram: str | None,
    logs: tuple[str, ...],
    port: int | None,
    *,
    watch: bool,
    dry_run: bool,
) -> None:
    """Run RECIPE, a file or the name of a shipped one.

    \b
    gen3d run recipes/zero123_sjc.yaml inputs.image=photo.png
    gen3d run zero123_sjc --profile mini inputs.image=photo.png inputs.elevation_deg=20
    gen3d run zero123_sjc --profile mini --watch
    gen3d run prolificdreamer_vsd --vram 16GB inputs.prompt="a pineapple"
    """
    from gen3d import run as running

    port = port or (PORT if watch else None)
    if not dry_run:
        running.run(recipe, overrides, profile, vram, logs, port)
        return
    from gen3d.recipe import Recipe
    from gen3d.run_directory import dump_yaml

    run = running.fitting(running.Run(Recipe.load(recipe, overrides, profile)), vram)
    run.logs, run.port = logs, port
    run.check()
    click.echo(dump_yaml(run.recipe.resolved()).decode().rstrip())
    stages = ", ".join(f"{parts.name} ({parts.steps} steps)" for parts in run.stages)
    click.echo(f"# valid: {stages} on {run.device}; nothing was loaded or written")
