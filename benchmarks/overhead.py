"""Where the time of a run goes: what is not drawing, guidance, gradient and update is the loop's own.

python benchmarks/overhead.py                       the mini profile of zero123_sjc, all of its steps
python benchmarks/overhead.py dreamfusion_sds steps=60
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import torch

from gen3d.health import Watch
from gen3d.plugins import Plugins, load_plugins
from gen3d.recipe import Recipe
from gen3d.run import Run
from gen3d.run_directory import RunDirectory

LIMIT = 0.05
"""Share of the loop's time that its own work may take."""
WORK = ("drawing", "guidance", "gradient and update", "after the step")


class Timers:
    """Seconds by name; what one timer measures within another counts for the inner one only.

    Args:
        device: waited for at both ends of a measurement.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: Counter[str] = Counter()
        self.device = device
        self._within: list[str] = []
        self._since = 0.0

    def _switch(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        if self._within:
            self.seconds[self._within[-1]] += now - self._since
        self._since = now

    @contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        """Count the time in here for a name."""
        self._switch()
        self._within.append(name)
        try:
            yield
        finally:
            self._switch()
            self._within.pop()

    def wrap(self, owner: Any, method: str, name: str) -> None:
        """Measure every call of a method of an object, or of all objects of a class."""
        function: Callable[..., Any] = getattr(owner, method)

        def measured(*args: Any, **kwargs: Any) -> Any:
            with self.measuring(name):
                return function(*args, **kwargs)

        setattr(owner, method, measured)


def measure(recipe: str, overrides: tuple[str, ...]) -> Counter[str]:
    """Seconds of each kind within the loops of all stages of a run."""
    import gen3d.run as running

    plugins: Plugins = load_plugins()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Recipe.load(recipe, [f"output={folder}/run", "export=null", *overrides], "mini"), plugins)
        timers = Timers(run.device)
        timers.wrap(running, "optimise", "the loop itself")
        timers.wrap(running, "render", "drawing")
        timers.wrap(Watch, "look", "health")
        timers.wrap(RunDirectory, "log", "events")
        timers.wrap(RunDirectory, "checkpoint", "checkpoints")
        timers.wrap(run.plugins, "notify", "observers (previews)")
        for parts in run.stages:
            timers.wrap(parts.optimizer, "step", "gradient and update")
            for guidance in parts.guidance.values():
                timers.wrap(guidance, "forward", "guidance")
                timers.wrap(guidance, "after_step", "after the step")
        run.start()
    return timers.seconds


@click.command()
@click.argument("recipe", default="zero123_sjc")
@click.argument("overrides", nargs=-1)
def main(recipe: str, overrides: tuple[str, ...]) -> None:
    """Print a table, and fail where the loop's own share is over the limit."""
    seconds = measure(recipe, overrides)
    total = sum(seconds.values())
    for name, passed in seconds.most_common():
        print(f"{name:24} {passed:8.2f} s  {passed / total:6.1%}{'' if name in WORK else '  own'}")
    own = sum(passed for name, passed in seconds.items() if name not in WORK) / total
    print(f"{'all':24} {total:8.2f} s; the loop's own: {own:.1%}, of at most {LIMIT:.0%}")
    raise SystemExit(own > LIMIT)


if __name__ == "__main__":
    main()
