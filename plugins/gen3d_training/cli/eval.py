"""Figures, with their protocol: of a mesh, and of a recipe over many objects."""

from pathlib import Path
from typing import Any, Literal

import click


@click.group("eval")
def eval_() -> None:
    """Measure meshes, and recipes that make meshes."""


@eval_.command("mesh")
@click.argument("pred", type=click.Path(path_type=Path))
@click.argument("gt", type=click.Path(path_type=Path))
@click.option("--normalize", type=click.Choice(["none", "cube"]), default="cube", show_default=True)
@click.option("--points", default=10_000, show_default=True, type=click.IntRange(100, 10**7), help="Of each surface.")
@click.option("--threshold", default=0.02, show_default=True, type=click.FloatRange(1e-6), help="Of the F-score.")
@click.option("--seed", default=0, show_default=True, help="Draws the points.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def mesh(
    pred: Path, gt: Path, *, normalize: Literal["none", "cube"], points: int, threshold: float, seed: int, as_json: bool
) -> None:
    """Compare the mesh PRED with the true mesh GT: Chamfer distance, IoU, F-score."""
    from gen3d_training.eval_mesh import eval_mesh

    result = eval_mesh(pred, gt, normalize, points, threshold, seed)
    if as_json:
        _print_json(result)
        return
    scores = {"Chamfer distance": "chamfer", "IoU": "iou", "F-score": "f_score"}
    _print_table(["figure", "value"], [[label, f"{result[key]:.4f}"] for label, key in scores.items()])
    open_meshes = [name for name, closed in result["closed"].items() if not closed]
    if open_meshes:
        click.echo(f"not closed: {', '.join(open_meshes)}; what is inside of it is a guess")
    _print_protocol(result["protocol"])


@eval_.command("image-to-mesh")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--recipe", default="zero123_sjc", show_default=True, help="A file, or the name of a shipped one.")
@click.option("--profile", help="Of the recipe, such as mini.")
@click.option("--objects", default=12, show_default=True, type=click.IntRange(1), help="How many, drawn at random.")
@click.option("--only", type=click.Path(path_type=Path), help="Draw from the names in this file: JSON, or one a line.")
@click.option("--seed", default=0, show_default=True, help="Draws objects and cameras.")
@click.option("--output", type=click.Path(path_type=Path), help="Default: runs/eval-RECIPE[-PROFILE].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def image_to_mesh(
    dataset: Path,
    overrides: tuple[str, ...],
    *,
    recipe: str,
    profile: str | None,
    objects: int,
    only: Path | None,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Run a recipe on one picture of each of some meshes below DATASET, and compare with the meshes.

    Beside it: the same runs without the prior, the picture's silhouette extruded, and a sphere. Finished objects are
    kept, so an interrupted command goes on when it is given again.

    \b
    gen3d eval image-to-mesh meshes --profile mini --objects 12
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    from gen3d_training.eval_image_to_mesh import eval_image_to_mesh
    from gen3d_training.scores import failures, table

    output = output or Path("runs", "-".join(["eval", Path(recipe).stem, *([profile] if profile else [])]))
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("Objects", total=None)

        def report(name: str, done: int, total: int, result: dict[str, Any]) -> None:
            bar.update(task, completed=done, total=total)
            figures = ", ".join(f"{column} {value['iou']:.3f}" for column, value in result["columns"].items())
            bar.console.print(f"{name}: IoU {figures}", markup=False, highlight=False)

        result = eval_image_to_mesh(dataset, output, recipe, profile, overrides, objects, only, seed, report)
    if as_json:
        _print_json(result)
        return
    header, *rows = table(result)
    _print_table(header, rows)
    for line in failures(result):
        click.echo(f"failed: {line}")
    _print_protocol(result["protocol"])
    click.echo(f"{output / 'results.json'}, {output / 'results.md'}")


def _print_json(result: dict[str, Any]) -> None:
    import json

    click.echo(json.dumps(result, indent=1, default=str))


def _print_table(header: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*header)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _print_protocol(protocol: dict[str, Any]) -> None:
    for key, value in protocol.items():
        click.echo(f"  {key}: {value}")
