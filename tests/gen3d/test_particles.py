"""`particles: n`: several objects in one run, of which each step is about one."""

import json
from pathlib import Path

import pytest
import torch

from core_toys import RECIPE, STAGED, core_plugins, write_recipe
from gen3d.checkpoint import load_checkpoint
from gen3d.describe import describe
from gen3d.errors import BadInput
from gen3d.particles import ParticleRenderer, Particles
from gen3d.recipe import Recipe
from gen3d.representation import RadianceField
from gen3d.run import Run
from gen3d.stage import build_stage

MANY = RECIPE.replace("{type: ball}", "{type: ball, particles: 3}")


def run(folder: Path, text: str = MANY, *overrides: str) -> Run:
    recipe = Recipe.load(write_recipe(folder, text), [f"output={folder / 'run'}", *overrides])
    result = Run(recipe, core_plugins())
    result.start()
    return result


def test_each_step_is_about_one_of_them(tmp_path: Path) -> None:
    """It is drawn at random, and the others stay as they are; together they are changed once a step."""
    made = run(tmp_path, MANY, "steps=30")
    parts = made.stages[0]
    particles, renderer = parts.representation, parts.renderer
    assert isinstance(particles, Particles)
    assert isinstance(renderer, ParticleRenderer)
    drawn = [[index for index, _, _ in member.drawn] for member in renderer.members]
    assert sorted(index for steps in drawn for index in steps) == list(range(30))
    assert all(3 < len(steps) < 20 for steps in drawn)
    colors = [member.color.detach() for member in particles.members]
    assert not torch.equal(colors[0], colors[1])


def test_only_the_active_one_moves(tmp_path: Path) -> None:
    made = run(tmp_path, MANY, "steps=1")
    particles = made.stages[0].representation
    assert isinstance(particles, Particles)
    moved = [bool((member.color.detach() - torch.tensor([0.8, 0.3, 0.1])).any()) for member in particles.members]
    assert moved == [index == particles.index for index in range(3)]


def test_a_particle_has_the_abilities_of_its_kind(tmp_path: Path) -> None:
    recipe = Recipe.load(write_recipe(tmp_path, MANY), [])
    particles = build_stage("main", recipe.stages["main"], core_plugins().registry).representation
    assert isinstance(particles, RadianceField)
    assert isinstance(particles, Particles)
    particles.index = 2
    points = torch.zeros(1, 3)
    with torch.no_grad():
        particles.members[2].color.fill_(0.25)
    assert torch.equal(particles.features(points), torch.full((1, 3), 0.25))
    assert particles.color is particles.members[2].color


def test_a_rate_for_a_group_is_for_all_particles(tmp_path: Path) -> None:
    made = run(tmp_path)
    groups = made.stages[0].representation.param_groups()
    assert sorted(groups) == [f"{name}.{i}" for name in ("color", "radius") for i in range(3)]


def test_a_checkpoint_holds_all_of_them(tmp_path: Path) -> None:
    made = run(tmp_path, MANY, "steps=12")
    parts = made.stages[0]
    state = load_checkpoint(tmp_path / "run" / "checkpoints" / "main-final.safetensors")
    again = build_stage("main", made.recipe.stages["main"], core_plugins().registry)
    again.bind(made.stage)
    again.load_state(state)
    ours, theirs = (particles.param_groups() for particles in (parts.representation, again.representation))
    for name, group in ours.items():
        assert all(torch.equal(one, other) for one, other in zip(group, theirs[name], strict=True))


def test_later_stages_and_exporters_get_the_first(tmp_path: Path) -> None:
    text = STAGED.replace("steps: 30", "steps: 9, representation: {particles: 3}")
    text = text.replace("alone: {steps: 1}", "alone: {steps: 4, representation: {particles: 2}}")
    made = run(tmp_path, text)
    shape, color, alone = (stage.representation for stage in made.stages)
    assert isinstance(shape, Particles)
    assert made.objects["shape"] is shape.members[0]
    assert not isinstance(color, Particles)
    assert isinstance(alone, Particles)
    written = json.loads(made.outputs[0].read_text())
    assert written["color.0"] == alone.members[0].color.tolist()


def test_the_first_is_as_it_would_be_alone(tmp_path: Path) -> None:
    """The others start from seeds of their own."""

    def seeds(text: str) -> list[int]:
        seen: list[int] = []
        plugins = core_plugins()
        parts = build_stage("main", Recipe.load(write_recipe(tmp_path, text), []).stages["main"], plugins.registry)
        members = getattr(parts.representation, "members", [parts.representation])
        for member in members:
            member.bind = lambda stage: seen.append(stage.seed)
        made = Run(Recipe.load(write_recipe(tmp_path, text), [f"output={tmp_path / str(len(members))}"]), plugins)
        made.stages = [parts]
        made.start()
        return seen

    alone, many = seeds(RECIPE), seeds(MANY)
    assert many[:1] == alone
    assert len(set(many)) == 3


@pytest.mark.parametrize("count", ["0", "-1", "two", "1.5", "true"])
def test_impossible_numbers_are_refused(tmp_path: Path, count: str) -> None:
    with pytest.raises(BadInput, match=r"particles cannot be.*\n?.*whole number") as raised:
        run(tmp_path, MANY.replace("particles: 3", f"particles: {count}"))
    assert "representation.particles" in raised.value.place or "toy.yaml:4" in raised.value.place


def test_one_particle_is_the_plain_object(tmp_path: Path) -> None:
    made = run(tmp_path, MANY.replace("particles: 3", "particles: 1"))
    assert not isinstance(made.stages[0].representation, Particles)


def test_describe_shows_the_key() -> None:
    registry = core_plugins().registry
    assert "particles: a whole number, default 1" in describe(registry.component("representation", "ball"))
    assert "weight: a number or schedule, default 1" in describe(registry.component("guidance", "toward"))
