"""A renderer bound to a field, and what it is bound in."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gen3d import Guidance, Representation, Stage
from gen3d.testing import toy_stage
from gen3d_volume.volume import Volume

Bind = Callable[..., tuple[Volume, Stage]]


@pytest.fixture
def bind() -> Bind:
    """bind(field, guidance, **keys) binds the field and a new renderer to a stage."""

    def bound(field: Representation, guidance: dict[str, Guidance] | None = None, **keys: Any) -> tuple[Volume, Stage]:
        renderer = Volume(**keys)
        stage = replace(toy_stage({}), representation=field, renderer=renderer, guidance=guidance or {})
        field.bind(stage)
        renderer.bind(stage)
        return renderer, stage

    return bound
