"""What the text recipes say to prompts and pairs that cannot be: one message, the exit code, and nothing half done."""

from pathlib import Path

import pytest

from text_recipes import command
from tiny_stable_diffusion import write_tiny_stable_diffusion

NAMES = ("prolificdreamer_vsd", "dreamfusion_sds", "sjc_text", "magic3d")


@pytest.mark.parametrize("prompt", ["", "   "])
def test_an_empty_prompt_is_refused_when_the_recipe_loads(prompt: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("dreamfusion_sds", f'inputs.prompt="{prompt}"', "--dry-run") == 2
    assert "inputs: prompt is empty" in capsys.readouterr().err


def test_no_prompt_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = write_tiny_stable_diffusion(tmp_path / "weights")
    given = ["inputs.prompt=null", f"guidance.text.prior.weights={weights}", f"output={tmp_path / 'run'}", "steps=1"]
    assert command("dreamfusion_sds", *given) == 2
    assert "inputs.prompt: the stable_diffusion prior needs a prompt" in capsys.readouterr().err


def test_a_prompt_that_is_too_long_is_said_and_not_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tiny encoder reads 18 letters; "overhead view" and a comma are 13 of them."""
    weights = write_tiny_stable_diffusion(tmp_path / "weights")
    given = [
        "inputs.prompt=mushroom",
        f"guidance.text.prior.weights={weights}",
        f"output={tmp_path / 'run'}",
        "steps=1",
    ]
    assert command("dreamfusion_sds", *given) == 2
    said = capsys.readouterr().err
    assert "inputs.prompt: is longer than the 20 tokens" in said
    assert "is left over" in said
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("name", NAMES)
def test_weights_that_are_missing_are_said(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"guidance.text.prior.weights={tmp_path / 'nothing'}", f"output={tmp_path / 'run'}"]
    assert command(name, *given, "device=cpu") == 3
    assert "nothing" in capsys.readouterr().err


def test_an_objective_that_the_prior_cannot_do_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """NFSD asks for a negative prediction, and Zero-1-to-3 knows no negative prompts."""
    given = ["guidance.text.prior={type: zero123, weights: mini}", "guidance.text.objective={type: nfsd}"]
    assert command("dreamfusion_sds", *given, "--dry-run") == 2
    said = capsys.readouterr().err
    assert "guidance.text" in said
    assert "has no negative prediction" in said
