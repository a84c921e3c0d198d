"""Plans for a GPU's memory, from sizes alone."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner

from gen3d import run as running
from gen3d import vram
from gen3d.cli import cli
from gen3d.errors import BadInput, OutOfMemory, Unsupported
from gen3d.memory import estimate
from gen3d.recipe import Recipe
from gen3d.run import Run
from gen3d.schedule import Schedule

PROLIFIC = "prolificdreamer_vsd"
SMALL = ["stages.shape.representation.resolution=8", "stages.texture.representation.resolution=8"]


@pytest.fixture(scope="module")
def prolific() -> Run:
    return Run(Recipe.load(PROLIFIC, SMALL))


def planned(run: Run, budget: str, *, changing: bool = True) -> vram.Plan:
    return vram.plan(run.recipe, run.stages, vram.gibibytes(budget), changing=changing)


@pytest.mark.parametrize(("text", "amount"), [("8GB", 8e9), ("7.5GiB", 7.5 * 2**30), ("16 gb", 16e9), ("2g", 2e9)])
def test_amounts(text: str, amount: float) -> None:
    assert vram.gibibytes(text) * 2**30 == pytest.approx(amount)


@pytest.mark.parametrize("text", ["", "8", "eight GB", "0GB", "8MB"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(BadInput, match=r"--vram: .* is no amount of memory"):
        vram.gibibytes(text)


def test_what_fits_is_left_as_it_is(prolific: Run) -> None:
    made = planned(prolific, "32GB")
    assert made.changes == {}
    assert made.before == made.after
    assert str(made).count("as it is") == 3


def test_prolificdreamer_at_512_fits_into_16_gb_and_is_the_same(prolific: Run) -> None:
    made = planned(prolific, "16GB", changing=False)
    assert made.changes == {("stages", "field", "renderer", "recompute"): True}
    assert made.before["field"] > 16 > max(made.after.values())
    changed = Run(prolific.recipe.changed(made.changes))
    assert [stage.cameras.size(0, 1) for stage in changed.stages] == [512] * 3
    assert changed.stages[0].renderer.recompute
    assert not getattr(changed.stages[1].renderer, "recompute", False)


def test_the_changed_recipe_takes_what_the_plan_says(prolific: Run) -> None:
    for budget in ("16GB", "8GB", "7GB"):
        made = planned(prolific, budget)
        changed = Run(prolific.recipe.changed(made.changes))
        assert {parts.name: estimate(parts) for parts in changed.stages} == pytest.approx(dict(made.after))
        assert max(made.after.values()) <= vram.gibibytes(budget)


def test_planning_changes_nothing_by_itself(prolific: Run) -> None:
    before = [estimate(parts) for parts in prolific.stages]
    planned(prolific, "7GB")
    assert [estimate(parts) for parts in prolific.stages] == before


def test_no_change_is_needless(prolific: Run) -> None:
    budget = "7GB"
    made = planned(prolific, budget)
    assert made.changes
    for key in made.changes:
        fewer = {other: value for other, value in made.changes.items() if other != key}
        takes = max(estimate(parts) for parts in Run(prolific.recipe.changed(fewer)).stages)
        assert takes > vram.gibibytes(budget) or key[2] != "field", key


def test_what_never_fits_is_told_the_smallest_budget_that_does(prolific: Run) -> None:
    with pytest.raises(OutOfMemory, match=r"nothing makes it fit into 1\.0 GB.*\n  give it --vram ") as told:
        planned(prolific, "1GB")
    enough = told.value.remedy.split()[3].rstrip(",")
    assert max(planned(prolific, enough).after.values()) <= vram.gibibytes(enough)
    assert told.value.exit_code == 4


def test_without_changes_to_what_is_made_pictures_stay(prolific: Run) -> None:
    with pytest.raises(OutOfMemory) as told:
        planned(prolific, "1GB", changing=False)
    enough = planned(prolific, told.value.remedy.split()[3].rstrip(","), changing=False)
    assert not any(key[2] == "cameras" for key in enough.changes)


def test_fewer_and_smaller_pictures_come_last_and_schedules_are_capped() -> None:
    overrides = ["cameras.views=8", "cameras.size={0: 64, 50%: 512}", "renderer.background=white"]
    run = Run(Recipe.load("dreamfusion_sds", overrides))
    made = planned(run, "7GB")
    assert made.changes["cameras", "views"] < 8
    capped = vram._capped(Schedule(((0, 64.0), ("50%", 512.0))), 128)
    assert capped == {"0": 64, "50%": 128}
    assert vram._capped(replace(Schedule.of(capped), linear=True), 64) == {"ramp": {"0": 64, "50%": 64}}


def test_a_prior_named_by_reference_is_changed_too() -> None:
    run = Run(Recipe.load("zero123_sjc"))
    key = ("stages", "color", "guidance", "decoded_views", "prior", "graphs")
    changed = Run(run.recipe.changed({key: False}))
    assert changed.stages[1].guidance["decoded_views"].prior.graphs is False
    assert changed.stages[0].guidance["novel_views"].prior.graphs is True


def test_every_stage_counts_networks_once() -> None:
    run = Run(Recipe.load("zero123_sjc"))
    shape = run.stages[0]
    twice = replace(shape, guidance=shape.guidance | {"again": shape.guidance["novel_views"]})
    once = estimate(shape)
    assert estimate(twice) - once < 1.1 * 2.33  # and not its weights


def test_on_a_cpu_a_budget_is_refused_and_none_is_planned_for() -> None:
    run = Run(Recipe.load("dreamfusion_sds", ["device=cpu"]))
    with pytest.raises(Unsupported, match=r"--vram: is about a GPU's memory, and this runs on cpu\n  leave it out"):
        vram.fitted(run, "8GB")
    assert vram.fitted(run, None) is run.recipe
    result = CliRunner().invoke(cli, ["run", "dreamfusion_sds", "device=cpu", "--vram", "8GB", "--dry-run"])
    assert isinstance(result.exception, Unsupported)


def test_on_cuda_the_plan_is_told_and_the_run_has_it(
    prolific: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prolific, "device", torch.device("cuda"))
    recipe = vram.fitted(prolific, "16GB", changing=False)
    shown = capsys.readouterr().out
    assert "memory: 16.0 GB" in shown
    assert "rather than 20.4, with stages.field.renderer.recompute=true" in shown
    assert recipe.config.values["stages"]["field"]["renderer"]["recompute"] is True
    free = 8 * 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, free))
    assert vram.fitted(prolific, None) is not prolific.recipe
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**30, 2**30))
    assert vram.fitted(prolific, None) is prolific.recipe  # it may be wrong, so it refuses nobody
    assert "nothing makes it fit" in capsys.readouterr().out


def test_out_of_memory_names_what_would_have_fitted(prolific: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prolific, "stage", SimpleNamespace(name="field"), raising=False)
    monkeypatch.setattr(prolific, "device", torch.device("cuda"))
    card = SimpleNamespace(total_memory=24 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    told = prolific.told(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"))
    assert isinstance(told, OutOfMemory)
    assert told.exit_code == 4
    assert str(told).startswith("stage field: CUDA out of memory\n  run it with stages.field.renderer.recompute=true")
    assert "--vram" in told.remedy
    assert running.Run.told(prolific, ValueError("other")).args == ("other",)
