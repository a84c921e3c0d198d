"""The loop: what is rendered, what is skipped, what ends it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from core_toys import RECIPE, STAGED, Descent, Renderer, core_plugins, toy_run, write_recipe
from gen3d import Step, hookimpl
from gen3d.checkpoint import load_checkpoint
from gen3d.errors import BadInput, Degenerate, OutOfMemory, Unavailable, Unsupported
from gen3d.recipe import Recipe
from gen3d.run import Run, choose_device


def drawn(run: Run) -> list[Any]:
    """What the renderer of the first stage drew: (step, cameras, outputs)."""
    renderer = run.stages[0].renderer
    assert isinstance(renderer, Renderer)
    return renderer.drawn


def record(folder: Path) -> dict[str, Any]:
    """The run.json of a run in `folder`."""
    result: dict[str, Any] = json.loads((folder / "out" / "run.json").read_text())
    return result


def parameters(run: Run) -> dict[str, torch.Tensor]:
    """The last stage's object."""
    return run.stages[-1].representation.trained_state()


def test_the_object_goes_where_the_guidance_wants_it(tmp_path: Path) -> None:
    run = toy_run(tmp_path, "steps=60", "optimizer.lr=0.5", "representation.radius=0.45")
    run.start()
    assert parameters(run)["color.0"].tolist() == pytest.approx([0.1, 0.2, 0.9], abs=0.15)
    events = [json.loads(line) for line in (run.directory / "events.jsonl").read_text().splitlines()]
    losses = [event["terms"]["paint"] for event in events if event["event"] == "step"]
    assert losses[-1] < 0.8 * losses[0]


def test_each_camera_object_is_rendered_once_with_all_that_anybody_needs(tmp_path: Path) -> None:
    run = toy_run(
        tmp_path,
        "steps=2",
        "guidance.depth={type: toward, color: [0, 0, 0], needs: [normal]}",
        "guidance.own={type: toward, color: [0, 0, 0], needs: [samples], own_camera: true}",
        "guidance.own_too={type: toward, color: [0, 0, 0], own_camera: true}",
    )
    run.start()
    assert [index for index, _, _ in drawn(run)] == [0, 0, 1, 1]
    assert [outputs for _, _, outputs in drawn(run)[:2]] == [{"image", "normal"}, {"image", "samples"}]
    assert drawn(run)[1][1] is drawn(run)[3][1]
    assert drawn(run)[0][1] is not drawn(run)[2][1]
    assert len(drawn(run)[0][1]) == 2


def test_weight_0_asks_nothing(tmp_path: Path) -> None:
    run = toy_run(
        tmp_path, "steps=4", "guidance.own={type: toward, color: [0, 0, 0], own_camera: true, weight: {0: 0, 50%: 2}}"
    )
    run.start()
    assert [index for index, _, _ in drawn(run)] == [0, 1, 2, 2, 3, 3]


def test_a_weight_scales_loss_and_gradient(tmp_path: Path) -> None:
    def change(folder: str, weight: float) -> tuple[torch.Tensor, float]:
        (tmp_path / folder).mkdir()
        run = toy_run(tmp_path / folder, "steps=1", f"guidance.paint.weight={weight}", "optimizer.lr=0.01")
        before = parameters(run)["color.0"].clone()
        run.start()
        return parameters(run)["color.0"] - before, run.terms["paint"]

    (once, term), (thrice, terms) = change("one", 1), change("three", 3)
    torch.testing.assert_close(thrice, 3 * once, rtol=1e-3, atol=1e-7)
    assert terms == pytest.approx(3 * term)


def test_nothing_to_do_in_a_step_is_no_trouble(tmp_path: Path) -> None:
    run = toy_run(tmp_path, "steps=30", "guidance.paint.weight={0: 0, 29: 1}")
    run.start()
    optimizer = run.stages[0].optimizer
    assert isinstance(optimizer, Descent)
    assert optimizer.taken == 1
    assert run.warnings == []


def test_a_loss_without_a_gradient_is_no_trouble(tmp_path: Path) -> None:
    run = toy_run(tmp_path, "guidance.paint=null", "guidance.still={type: trouble, kind: constant}")
    run.start()
    assert (run.terms, run.warnings) == ({"still": 0}, [])


def test_the_same_seed_gives_the_same_object_and_another_does_not(tmp_path: Path) -> None:
    results = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / folder).mkdir()
        torch.manual_seed(len(results))  # must not matter
        run = toy_run(tmp_path / folder, f"seed={seed}")
        run.start()
        results.append(parameters(run)["color.0"].clone())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_another_term_shifts_no_noise(tmp_path: Path) -> None:
    results = []
    for folder, more in (("a", []), ("b", ["guidance.z={type: toward, color: [0, 0, 0], weight: 1e-30}"])):
        (tmp_path / folder).mkdir()
        run = toy_run(tmp_path / folder, *more)
        run.start()
        results.append(run.terms["paint"])
    assert results[0] == pytest.approx(results[1], rel=1e-6)


def test_stages_hand_the_object_on(tmp_path: Path) -> None:
    run = toy_run(tmp_path, text=STAGED)
    starts: dict[str, torch.Tensor] = {}
    for parts in run.stages:
        parts.optimizer.bind = lambda groups, name=parts.name, bind=parts.optimizer.bind: (  # type: ignore[method-assign]
            starts.update({name: groups["representation.color"][0].detach().clone()}),
            bind(groups),
        )
    run.start()
    final = load_checkpoint(run.directory / "checkpoints" / "shape-final.safetensors")
    assert torch.equal(starts["color"], final["parts"]["representation"]["color.0"])
    assert torch.equal(starts["alone"], starts["shape"])
    assert not torch.equal(starts["color"], starts["shape"])
    assert list(record(tmp_path)["stages"]) == ["shape", "color", "alone"]


def test_a_kind_that_cannot_start_from_another_says_so(tmp_path: Path) -> None:
    from gen3d.testing import ToyField

    plugins = core_plugins()
    registrar = plugins.registry
    from gen3d.registry import Component

    registrar.add(Component("representation", "other", "test", ToyField))
    text = STAGED.replace("color: {steps: 2,", "color: {steps: 2, representation: {type: other},")
    with pytest.raises(Unsupported, match="ToyField cannot start from a Ball"):
        toy_run(tmp_path, text=text, plugins=plugins).start()


@pytest.mark.parametrize(("kind", "culprit"), [("loss", "bad"), ("gradient", "the gradient")])
def test_a_term_that_is_not_finite_is_named_and_the_step_skipped(tmp_path: Path, kind: str, culprit: str) -> None:
    run = toy_run(tmp_path, "steps=3", f"guidance.bad={{type: trouble, kind: {kind}, first: 1, last: 1}}")
    run.start()
    assert run.warnings == [f"stage main, step 1: not finite: {culprit}; the step is skipped"]
    assert record(tmp_path)["warnings"] == run.warnings
    optimizer = run.stages[0].optimizer
    assert isinstance(optimizer, Descent)
    assert optimizer.taken == 2
    assert all(value.isfinite().all() for value in parameters(run).values())


def test_19_such_steps_are_lived_through_and_20_without_a_checkpoint_are_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    toy_run(tmp_path / "a", "steps=30", "guidance.bad={type: trouble, kind: loss, first: 2, last: 20}").start()
    with pytest.raises(Degenerate, match=r"stage main, step 21: bad stayed not finite for 20 steps\n.*lower") as caught:
        toy_run(tmp_path, "steps=30", "guidance.bad={type: trouble, kind: loss, first: 2, last: 21}").start()
    assert caught.value.exit_code == 5
    assert record(tmp_path)["status"] == "failed"
    assert "bad stayed not finite" in record(tmp_path)["error"]


@pytest.mark.parametrize(("kind", "culprit"), [("loss", "bad"), ("gradient", "the gradient")])
def test_after_20_the_run_goes_back_to_its_last_good_checkpoint_and_stops(
    tmp_path: Path, kind: str, culprit: str
) -> None:
    bad = f"guidance.bad={{type: trouble, kind: {kind}, first: 8}}"
    run = toy_run(tmp_path, "steps=40", "checkpoint_every=5", "export={type: words}", bad)
    saved: dict[str, torch.Tensor] = {}
    plugins = run.plugins.manager

    class Watcher:
        @hookimpl
        def step_finished(self, run: Run, step: Step) -> None:
            if step.index == 4:
                saved.update({name: tensor.clone() for name, tensor in parameters(run).items()})

    plugins.register(Watcher())
    message = f"stage main, step 27: {culprit} stayed not finite for 20 steps; .* checkpoint after 5 steps"
    with pytest.raises(Degenerate, match=message):
        run.start()
    assert [path.name for path in (run.directory / "checkpoints").iterdir()] == ["main-00000005.safetensors"]
    held = load_checkpoint(run.directory / "checkpoints" / "main-00000005.safetensors")
    for name, tensor in saved.items():  # in the file, and in memory for those who draw it
        assert torch.equal(tensor, held["parts"]["representation"][name])
        assert torch.equal(tensor, parameters(run)[name])
    assert (record(tmp_path)["status"], record(tmp_path)["skipped"]) == ("failed", 20)
    events = [json.loads(line) for line in (run.directory / "events.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["event"] == "rolled_back"] == [5]
    assert not (run.directory / "asset").exists()


def test_an_object_that_is_not_finite_is_no_checkpoint_to_go_back_to(tmp_path: Path) -> None:
    """The step before the trouble: its loss and its gradient were finite, and what came of it was not."""
    run = toy_run(tmp_path, "steps=40", "checkpoint_every=5", "optimizer.lr={0: 0.1, 9: 1e39}")
    with pytest.raises(Degenerate, match="checkpoint after 5 steps"):
        run.start()
    assert all(value.isfinite().all() for value in parameters(run).values())


def test_skipped_steps_are_counted(tmp_path: Path) -> None:
    run = toy_run(
        tmp_path,
        "steps=30",
        "guidance.bad={type: trouble, kind: loss, first: 2, last: 16}",
        "guidance.worse={type: trouble, kind: gradient, first: 18, last: 25}",
    )
    run.start()
    assert (record(tmp_path)["status"], record(tmp_path)["skipped"]) == ("done", 15 + 8)


def test_ctrl_c_is_written_down(tmp_path: Path) -> None:
    run = toy_run(tmp_path, "guidance.stop={type: trouble, kind: interrupt, first: 1}")
    with pytest.raises(KeyboardInterrupt):
        run.start()
    assert record(tmp_path)["status"] == "interrupted"
    assert record(tmp_path)["stages"] == {}


def test_out_of_memory_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(OutOfMemory, match=r"allocate(.|\n)*cameras.size") as caught:
        toy_run(tmp_path, "guidance.big={type: trouble, kind: memory}").start()
    assert caught.value.exit_code == 4
    assert record(tmp_path)["error"].startswith("OutOfMemory")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("guidance.paint=null", r"guidance: there is no guidance"),
        ("guidance=null", r"guidance: there is no guidance"),
        ("steps=null", r"steps: 'steps' is missing"),
        ("representation=null", r"representation: a representation is a map with a `type`"),
        ("representation.type=cube", r"representation.type: unknown representation 'cube'"),
        ("guidance.paint.weight=high", r"guidance.paint.weight: 'high' is no number"),
        ("guidance.paint.weight={ramp: 3}", r"guidance.paint.weight: a schedule is"),
        ("guidance.paint.wieght=3", r"guidance.paint.wieght: unknown key(.|\n)*did you mean 'weight'"),
        ("guidance.paint.needs=[light]", r"guidance.paint: needs light, which Renderer does not offer"),
        ("cameras.veiws=3", r"cameras.veiws: unknown key(.|\n)*did you mean 'views'"),
        ("cameras.radius=[2, 1]", r"cameras: radius is \[2, 1\]"),
        ("inputs.elevation_deg=100", r"inputs: elevation_deg is 100"),
        ("inputs.elevation_deg=high", r"inputs.elevation_deg: 'high' does not fit"),
        ("inputs.fov_deg=0", r"inputs: fov_deg is 0"),
        ("inputs.radius=-1", r"inputs: radius is -1"),
        ("inputs.image=3", r"inputs.image: 3 does not fit(.|\n)*text or null"),
        ("inputs.imgae=a.png", r"inputs.imgae: unknown key(.|\n)*did you mean 'image'"),
        ("export=3", r"export: an exporter is a map with a `type`"),
        ("export.type=worlds", r"export.type: unknown exporter 'worlds'(.|\n)*did you mean 'words'"),
    ],
)
def test_what_is_refused_before_anything_is_written(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(BadInput, match=rf"^(command line|.*toy\.yaml:\d+|.*toy\.yaml): {message}"):
        toy_run(tmp_path, override)
    assert [path.name for path in tmp_path.iterdir()] == ["toy.yaml"]


def test_a_picture_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for image in ("gone.png", "x" * 5000, '"a\\0b"', '""'):
        with pytest.raises(BadInput, match=r"picture|file"):
            toy_run(tmp_path, f"inputs.image={image}").start()
        assert [path.name for path in tmp_path.iterdir()] == ["toy.yaml"]


def test_a_representation_that_the_renderer_cannot_draw(tmp_path: Path) -> None:
    from gen3d import Representation
    from gen3d.registry import Component

    plugins = core_plugins()
    plugins.registry.add(Component("representation", "nothing", "test", type("Nothing", (Representation,), {})))
    with pytest.raises(Unsupported, match="renderer: Renderer draws a RadianceField, and Nothing is none"):
        toy_run(tmp_path, "representation=nothing", plugins=plugins)


def test_renderer_and_optimizer_have_defaults(tmp_path: Path) -> None:
    text = "\n".join(line for line in RECIPE.splitlines() if not line.startswith(("renderer", "optimizer")))
    with pytest.raises(BadInput, match="unknown renderer 'volume'"):  # which the toys lack
        toy_run(tmp_path, text=text)
    with pytest.raises(BadInput, match="unknown optimizer 'adam'"):
        toy_run(tmp_path, "optimizer=null")


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in {"cpu", "cuda"}
    for name in ("gpu", "meta", "", "cpu:-1", "cuda:x"):
        with pytest.raises(BadInput, match=r"r.yaml:1: device: .*is no device(.|\n)*auto, cpu, cuda"):
            choose_device(name, "r.yaml:1: device")
    with pytest.raises(Unavailable, match="device=cpu") as caught:
        choose_device("xpu" if torch.cuda.is_available() else "cuda:63")
    assert caught.value.exit_code == 3


def test_a_recipe_path_alone_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gen3d.run import run

    monkeypatch.setattr("gen3d.run.installed", core_plugins)
    result = run(write_recipe(tmp_path), [f"output={tmp_path / 'o'}", "steps=1"])
    assert (result.directory, result.outputs) == (tmp_path / "o", [])
    assert Recipe.load(tmp_path / "o" / "resolved.yaml").get("steps") == 1
