"""What a plugin may implement, and when each hook fires.

A hook implementation may take fewer arguments than its specification names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from gen3d.cameras import Cameras
    from gen3d.events import Listener
    from gen3d.guidance import Signal
    from gen3d.part import Step
    from gen3d.registry import Registrar
    from gen3d.run import Run
    from gen3d.views import Views

hookspec = pluggy.HookspecMarker("gen3d")
hookimpl = pluggy.HookimplMarker("gen3d")


@hookspec
def register_components(registry: Registrar) -> None:
    """Fires once, when plugins are loaded: name the components this plugin brings."""


@hookspec
def describe_backends(device: torch.device) -> Mapping[str, str]:
    """Fires when `gen3d doctor` asks: the plugin's jobs that others can do too, and who does each, and why."""
    raise NotImplementedError


@hookspec
def event_logs() -> Mapping[str, Callable[[Run], Listener]]:
    """Fires before a run starts: what can be told its events, by the names that `gen3d run --log` takes."""
    raise NotImplementedError


@hookspec
def watch(run: Run, port: int) -> bool:
    """Fires before a run starts that is to be shown at a port of 127.0.0.1: whether it will be. Raises Unavailable."""
    raise NotImplementedError


@hookspec
def run_started(run: Run) -> None:
    """Fires once a run, when its directory exists and before the first stage is bound."""


@hookspec
def step_finished(run: Run, step: Step, views: Mapping[Cameras, Views], signals: Mapping[str, Signal]) -> None:
    """Fires after every optimizer step; `run.terms` holds the weighted terms as numbers.

    The run goes on when all have returned: here one may wait, draw the object, and call `run.save(step)`, `run.stop()`
    and `run.export()`.
    """


@hookspec
def run_finished(run: Run, error: BaseException | None) -> None:
    """Fires once a run, after the export or when `error` ended it; `run.stage` is the last one."""
