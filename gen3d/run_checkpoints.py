"""The checkpoints of a run: `STAGE-00000500.safetensors` while a stage is under way, then `STAGE-final.safetensors`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3d.checkpoint import load_checkpoint, save_checkpoint
from gen3d.errors import BadInput

KEPT = 2
"""Checkpoints that are kept of a stage under way."""

_ABOUT = frozenset({"seconds", "stage_began", "events", "skipped"})

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they are.
        recipe: what identifies the recipe; a run cannot go on from those of another one.
    """

    folder: Path
    recipe: str = ""

    def save(self, stage: str, step: int, state: dict[str, Any], *, last: bool) -> None:
        """Save, then remove what is no longer needed: all others of a done stage, else all but the newest."""
        name = "final" if last else f"{step:08d}"
        whole = {"stage": stage, "step": step, "recipe": self.recipe, **state}
        save_checkpoint(self.folder / f"{stage}-{name}.safetensors", whole)
        for old in self.under_way(stage)[: None if last else -KEPT]:
            old.unlink()

    def under_way(self, stage: str) -> list[Path]:
        """Those of a stage that is not done, oldest first."""
        digits = "[0-9]" * 8  # as many as were written: another stage may be called "shape-2"
        return sorted(self.folder.glob(f"{stage}-{digits}.safetensors"))

    def final(self, stage: str) -> Path:
        """That of a done stage, whether or not it is there."""
        return self.folder / f"{stage}-final.safetensors"

    def newest(self, stage: str, warn: Warn) -> dict[str, Any] | None:
        """The newest that can be used; None without one. Damaged ones are renamed, and `warn` is told."""
        for path in filter(Path.exists, (self.final(stage), *reversed(self.under_way(stage)))):
            try:
                return self._load(path)
            except BadInput as error:
                path.replace(path.with_name(f"{path.name}.damaged"))
                warn(f"{error.place} {error.cause}; going on from what was before it")
        return None

    def _load(self, path: Path) -> dict[str, Any]:
        state = load_checkpoint(path)
        if state.get("recipe") != self.recipe:
            raise BadInput("is of another recipe", place=str(path))
        about = state.get("run")
        if not isinstance(state.get("step"), int) or not isinstance(about, dict) or not about.keys() >= _ABOUT:
            raise BadInput("does not say when it was made", place=str(path))
        return state

    def reached(self, stages: Iterable[str], warn: Warn) -> dict[str, Any] | None:
        """How far a run of these stages can be trusted: the newest checkpoint with all stages before it done.

        What lies beyond, because a checkpoint in between cannot be used, is removed: it will be made again.
        """
        result: dict[str, Any] | None = None
        done = True
        for stage in stages:
            if not done:
                for path in filter(Path.exists, (self.final(stage), *self.under_way(stage))):
                    path.unlink()
                continue
            state = self.newest(stage, warn)
            done = state is not None and self.final(stage).exists()
            result = state or result
        return result
