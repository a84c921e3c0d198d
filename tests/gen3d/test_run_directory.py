"""What a run writes, and where it refuses to."""

import json
from pathlib import Path

import pytest

from core_toys import RECIPE, core_plugins, toy_run, write_recipe
from gen3d.errors import BadInput
from gen3d.recipe import Recipe
from gen3d.run import Run
from gen3d.run_directory import RunDirectory, dump_yaml


def events(folder: Path) -> list[dict[str, object]]:
    """Every line of events.jsonl, as strict JSON."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    lines = (folder / "events.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def test_a_run_leaves_recipe_record_events_and_a_final_checkpoint(tmp_path: Path) -> None:
    run = toy_run(tmp_path, "export={type: words}")
    run.start()
    out = tmp_path / "out"
    assert run.directory == out
    assert (out / "recipe.yaml").read_text() == RECIPE
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["main-final.safetensors"]
    assert run.outputs == [out / "asset" / "asset.json"]
    record = json.loads((out / "run.json").read_text())
    assert (record["status"], record["error"], record["outputs"]) == ("done", None, ["asset/asset.json"])
    assert set(record["stages"]) == {"main"}
    assert {"python", "torch", "gen3d"} <= set(record["versions"])
    assert [event["event"] for event in events(out)] == [
        *("run_started", "stage_started", "step", "step", "step", "stage_finished", "exported", "run_finished")
    ]
    terms = events(out)[2]["terms"]
    assert isinstance(terms, dict)
    assert set(terms) == {"paint"}


def test_the_resolved_recipe_is_the_same_recipe(tmp_path: Path) -> None:
    text = (
        RECIPE
        + 'name: "toy ${seed}"\nseed: 3\nprofiles: {p: {steps: 2, guidance: {paint: {weight: {0: 1, 50%: 2}}}}}\n'
    )
    first = Recipe.load(write_recipe(tmp_path, text), ["optimizer.lr={ramp: {0: 1, 100%: 0.1}}"], "p")
    (tmp_path / "resolved.yaml").write_bytes(dump_yaml(first.resolved()))
    again = Recipe.load(tmp_path / "resolved.yaml")
    assert again.resolved() == first.resolved()
    assert {name: stage.values for name, stage in again.stages.items()} == {
        name: stage.values for name, stage in first.stages.items()
    }
    Run(again, core_plugins())


def test_checkpoints_are_kept_two_at_a_time_and_replaced_by_the_final_one(tmp_path: Path) -> None:
    text = RECIPE.replace("steps: 3\n", "").replace(
        "gen3d: 1\n", "gen3d: 1\nstages: {a-1: {steps: 1}, a: {steps: 7}}\n"
    )
    run = toy_run(tmp_path, "checkpoint_every=2", text=text)
    seen: list[list[str]] = []
    folder = tmp_path / "out" / "checkpoints"
    checkpoint = RunDirectory.checkpoint

    def spy(files, parts, step, *, now) -> None:
        checkpoint(files, parts, step, now=now)
        seen.append(sorted(path.name.removesuffix(".safetensors") for path in folder.glob("*")))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunDirectory, "checkpoint", spy)
        run.start()
    assert seen[0] == seen[1] == ["a-1-final"]
    assert seen[4] == ["a-00000002", "a-00000004", "a-1-final"]
    assert seen[6] == ["a-00000004", "a-00000006", "a-1-final"]
    assert seen[7] == ["a-1-final", "a-final"]


@pytest.mark.parametrize("name", ["run.json", "recipe.yaml", "resolved.yaml"])
def test_what_another_run_or_a_person_wrote_is_not_overwritten(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(BadInput, match=f"command line: output: .*already holds a {name}"):
        toy_run(tmp_path).start()
    assert (out / name).read_text() == "mine"
    assert [path.name for path in out.iterdir()] == [name]


def test_a_run_that_was_killed_before_it_had_begun_is_no_obstacle(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").touch()
    (out / "recipe.yaml").write_text("half of")
    toy_run(tmp_path).start()
    assert (out / "recipe.yaml").read_text() == RECIPE


def test_a_folder_with_other_things_will_do(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "log.txt").touch()
    toy_run(tmp_path).start()
    assert (tmp_path / "out" / "run.json").exists()


@pytest.mark.parametrize("output", ["toy.yaml", "toy.yaml/below", "/dev/null/x", "x" * 300, "/proc/gen3d"])
def test_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"command line: output: .* cannot be written(.|\n)*choose another output"):
        toy_run(tmp_path, f"output={output}").start()
    assert [path.name for path in tmp_path.iterdir()] == ["toy.yaml"]


def test_a_name_that_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        toy_run(tmp_path, 'output="a\\0b"').start()


def test_runs_of_one_second_and_odd_names_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda _: "2026-01-01_120000")
    recipe = Recipe.load(write_recipe(tmp_path, RECIPE + 'name: "../a b/ü"\n'))
    paths = [RunDirectory.create(recipe).path for _ in range(3)]
    assert paths == [Path("runs", f"2026-01-01_120000-.._a_b_ü{end}") for end in ("", "-2", "-3")]


def test_numbers_that_json_lacks_are_null(tmp_path: Path) -> None:
    toy_run(tmp_path, "guidance.bad={type: trouble, kind: loss, last: 0}").start()
    steps = [event["terms"] for event in events(tmp_path / "out") if event["event"] == "step"]
    assert [terms["bad"] for terms in steps] == [None, 0, 0]  # type: ignore[index]
