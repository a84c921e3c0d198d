"""Small pictures of the object while it is optimised."""

from pathlib import Path

from gen3d import Stage, Step
from gen3d_monitor.drawing import around, draw
from gen3d_monitor.pictures import Tile, save_picture, tiled

SIZE, VIEWS = 80, 4
_SHARE, _SHORTEST, _LONGEST = 10, 25, 250


def due(step: Step) -> bool:
    """Whether this step gets a preview: every tenth of a stage, yet no nearer than 25 nor farther than 250 steps.

    A function of the step alone, so that a run repeats itself whatever else the machine does.
    """
    done = step.index + 1
    return done == step.total or done % min(max(step.total // _SHARE, _SHORTEST), _LONGEST) == 0


def save_preview(stage: Stage, step: Step, folder: Path) -> Path:
    """Draw four sides, colours over depth, as `STAGE_000120.png` (120 steps are done) and `latest.png`."""
    drawing = draw(stage, around(VIEWS, SIZE), step)
    rows = [[Tile("", picture) for picture in pictures] for pictures in (drawing.color, drawing.depth)]
    path = folder / f"{step.stage}_{step.index + 1:06d}.png"
    save_picture(tiled(rows), path, folder / "latest.png")
    return path
