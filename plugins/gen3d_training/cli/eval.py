"""Figures, with their protocol: of meshes, of recipes over many objects, and of priors."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal

import click


@click.group("eval")
def eval_() -> None:
    """Measure meshes, recipes that make meshes, and priors."""


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
    _print_table(["figure", "value"], *([label, f"{result[key]:.4f}"] for label, key in scores.items()))
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
    from gen3d_training.scores import FIGURES, failures, table

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
    for figure in FIGURES:
        _print_table(*table(result, figure))
    for line in failures(result):
        click.echo(f"failed: {line}")
    _print_protocol(result["protocol"])
    click.echo(f"{output / 'results.json'}, {output / 'results.md'}")


@eval_.command("views")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--weights", default="mini", show_default=True, help="Name or folder.")
@click.option("--prior", default="zero123", show_default=True, help="The kind of prior that loads them.")
@click.option("--objects", default=60, show_default=True, type=click.IntRange(1), help="How many, spread over all.")
@click.option("--only", type=click.Path(path_type=Path), help="Take the names in this file: JSON, or one a line.")
@click.option("--samples", default=4, show_default=True, type=click.IntRange(1, 64), help="Of each view.")
@click.option("--steps", default=25, show_default=True, type=click.IntRange(1, 1000), help="Of the sampler.")
@click.option("--cfg-scale", default=3.0, show_default=True, type=click.FloatRange(0), help="Guidance scale.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def views(
    dataset: Path,
    *,
    weights: str,
    prior: str,
    objects: int,
    only: Path | None,
    samples: int,
    steps: int,
    cfg_scale: float,
    as_json: bool,
) -> None:
    """Measure the novel views of a prior on the rendered objects of DATASET.

    Name objects that its training did not see with --only.
    """
    from gen3d_training.ddim import Sampling
    from gen3d_training.eval_views import eval_views

    with redirect_stdout(sys.stderr):  # progress is no result
        result = eval_views(dataset, weights, prior, objects, only, samples, Sampling(steps, cfg_scale))
    if as_json:
        _print_json(result)
        return
    rows = [
        [kind.replace("_", " "), f"{psnr:.2f}", f"{result['ssim'][kind]:.3f}"] for kind, psnr in result["psnr"].items()
    ]
    _print_table([f"{result['objects']} objects", "PSNR dB", "SSIM"], *rows)
    click.echo(f"mean of samples over the better baseline: {result['margin']:+.2f} dB")
    _print_protocol(result["protocol"])


@eval_.command("text-to-3d")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    default=("prolificdreamer_vsd", "dreamfusion_sds"),
    show_default=True,
    help="A file, or the name of a shipped one; may be given again.",
)
@click.option("--profile", help="Of each recipe, such as mini.")
@click.option("--prompts", type=click.Path(path_type=Path), help="A file of prompts, one a line. Default: ten.")
@click.option("--only", multiple=True, metavar="KIND", help="Run the prompts of this kind; may be given again.")
@click.option(
    "--particles", default=4, show_default=True, type=click.IntRange(1), help="Of the first prompt, for the diversity."
)
@click.option("--meshes", type=click.Path(path_type=Path), help="DATASET's, for the diversity of real objects.")
@click.option("--seed", default=0, show_default=True, help="Of the classifier.")
@click.option("--output", type=click.Path(path_type=Path), help="Default: runs/eval-text-to-3d[-PROFILE].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def text_to_3d(
    dataset: Path,
    overrides: tuple[str, ...],
    *,
    recipes: tuple[str, ...],
    profile: str | None,
    prompts: Path | None,
    only: tuple[str, ...],
    particles: int,
    meshes: Path | None,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Run the first stage of recipes on prompts, and see what a classifier names the results.

    The classifier is trained on the rendered objects of DATASET, for a few minutes, the first time. Beside what it
    says: colour saturation, time, memory, and how far particles of one prompt differ. What is finished is kept, so an
    interrupted command goes on when it is given again.

    \b
    gen3d eval text-to-3d data/mini_views --profile mini --meshes meshes
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    from gen3d_training.eval_text_to_3d import eval_text_to_3d
    from gen3d_training.text_tables import classifier_text, failures, outcome, prompts_table, recipes_table

    output = output or Path("runs", "-".join(["eval-text-to-3d", *([profile] if profile else [])]))
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True)) as bar:
        tasks = [bar.add_task(name, total=None, visible=False) for name in ("Classifier", "Prompts")]

        def learnt(done: int, total: int) -> None:
            bar.update(tasks[0], completed=done, total=total, visible=True)

        def report(recipe: str, prompt: str, done: int, total: int, found: dict[str, Any]) -> None:
            bar.update(tasks[1], completed=done, total=total, visible=True)
            bar.console.print(f"{recipe}, {prompt!r}: {outcome(found)}", markup=False, highlight=False)

        result = eval_text_to_3d(
            dataset, output, recipes, profile, overrides, prompts, only, particles, meshes, seed, report, learnt
        )
    if as_json:
        _print_json(result)
        return
    click.echo(classifier_text(result))
    for table in (prompts_table(result), recipes_table(result)):
        _print_table(*table)
    for line in failures(result):
        click.echo(f"failed: {line}")
    _print_protocol(result["protocol"])
    click.echo(f"{output / 'results.json'}, {output / 'results.md'}, {output / 'sheet.png'}")


def _print_json(result: dict[str, Any]) -> None:
    import json

    click.echo(json.dumps(result, indent=1, default=str))


def _print_table(header: list[str], *rows: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*header)
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _print_protocol(protocol: dict[str, Any]) -> None:
    for key, value in protocol.items():
        click.echo(f"  {key}: {value}")
