"""Open a web page: drop a picture or type a sentence, watch, download."""

from pathlib import Path

import click


@click.command("serve")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: the first from 7860 that is free.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where runs go.")
@click.option("--profile", help="Chosen at first; default: mini where there is no CUDA, else full.")
@click.option("--vram", help="What a run may take of the GPU's memory, such as 8GB; default: what is free.")
@click.option(
    "--recipe", "recipes", multiple=True, metavar="FILE", help="Offered besides the shipped ones; repeatable."
)
def serve(port: int | None, runs: Path, profile: str | None, vram: str | None, recipes: tuple[str, ...]) -> None:
    """Show a web page on this computer, and nowhere else, that runs recipes one after the other.

    \b
    gen3d serve
    gen3d serve --port 8000 --runs ~/objects --recipe my_recipe.yaml
    """
    from gen3d_web.server import serve as start

    start(runs, port, profile, vram, recipes)
