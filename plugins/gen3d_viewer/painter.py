"""When to draw for whom, and how finely: watching may take a share of the run's time, and none where nobody looks."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from gen3d import Cameras, Gen3dError, Stage, Step
from gen3d_viewer.page import Page, Viewpoint
from gen3d_viewer.picture import Kind, draw

SHARE = 0.3
"""Of the run's time, that drawing may take while somebody looks."""

MOVING, STILL = 0.15, 1.5
"""Seconds that a picture may take: of what moves, and of what stands still."""

_LEAST, _FIRST, _MOST = 48, 96, 800  # rows of a picture
_GROWTH = 2.0  # from one picture to the next: time may grow faster than the rays


@dataclass(frozen=True)
class Shown:
    """The picture that somebody has.

    Args:
        what: from where, of which kind, and of which state of the object.
        height: its rows.
        when: it was drawn.
    """

    what: object = None
    height: int = 0
    when: float = -math.inf


class Painter:
    """Draws for those who look at a page.

    Args:
        page: where they do.
        clock: seconds.
    """

    def __init__(self, page: Page, clock: Callable[[], float] = time.perf_counter) -> None:
        self.page, self.clock = page, clock
        self._shown: dict[int, Shown] = {}
        self._pixels_per_second = _FIRST**2 / MOVING
        self._rest_until = -math.inf

    def look(self, stage: Stage, step: Step, *, waiting: bool = False) -> bool:
        """Draw one picture, if somebody's is due; whether one was drawn.

        Args:
            stage: whose object is drawn, in the thread that changes it.
            step: after which this is; a new one means a new object.
            waiting: nothing else is to be done: no rest between pictures, and those of what stands still get finer.
        """
        viewpoints = self.page.viewpoints()
        self._shown = {name: shown for name, shown in self._shown.items() if name in viewpoints}
        if not waiting and self.clock() < self._rest_until:
            return False
        for name in sorted(viewpoints, key=lambda name: self._of(name).when):
            viewpoint, kind = viewpoints[name], self.page.kind
            what = (viewpoint.key, kind, step.stage, step.index)
            height = self._height(viewpoint, self._of(name), same=self._of(name).what == what)
            if height:
                self._paint(name, viewpoint.camera(height), stage, step, kind)
                self._shown[name] = Shown(what, height, self.clock())
                return True
        return False

    def _of(self, name: int) -> Shown:
        return self._shown.get(name, Shown())

    def _height(self, viewpoint: Viewpoint, has: Shown, *, same: bool) -> int:
        """The rows of the picture that is due; 0 where the one there is will do."""
        most, seconds = min(viewpoint.height, _MOST), STILL if same else MOVING
        affordable = math.sqrt(self._pixels_per_second * seconds / viewpoint.aspect)
        height = int(min(most, max(affordable, _LEAST), _GROWTH * (has.height or _FIRST / _GROWTH)))
        return 0 if same and height <= has.height else height

    def _paint(self, name: int, camera: Cameras, stage: Stage, step: Step, kind: Kind) -> None:
        began = self.clock()
        try:
            self.page.send(name, draw(stage, camera, step, kind))
        except Gen3dError as error:  # no surface as yet: the run goes on, and so does the person
            self.page.tell(picture=str(error))
        else:
            self.page.tell(picture=f"{camera.width} x {camera.height} pixels")
        ended = self.clock()
        took = max(ended - began, 1e-6)
        self._pixels_per_second = camera.height * camera.width / took
        self._rest_until = ended + took * (1 - SHARE) / SHARE
