import json

import pytest
import trimesh

from gen3d.cli import main
from gen3d.plugins import installed
from gen3d_training.render_dataset import ViewSettings, render_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two rendered objects at 16 pixels, and a prior of the real classes that was never trained."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "meshes").mkdir()
    trimesh.creation.box((1, 0.5, 0.3)).export(folder / "meshes" / "box.ply")
    trimesh.creation.icosphere(2).export(folder / "meshes" / "ball.ply")
    for size in (16, 24):
        render_dataset(folder / "meshes", folder / f"views{size}", ViewSettings(views=16, size=size), workers=1)
    prior = installed().registry.component("prior", "zero123").load()
    prior.trainee(size=16, channels=(32, 32)).save(folder / "weights")
    return folder


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        main(["eval", "views", *map(str, arguments)])
    return exit_.value.code


def test_command_measures_weights_beside_the_baselines(data, capsys):
    settings = "--weights", data / "weights", "--samples", 2, "--steps", 2
    assert run(data / "views16", *settings, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    kinds = {"one_sample", "mean_of_samples", "input_repeated", "mean_color"}
    assert set(result["psnr"]) == set(result["ssim"]) == kinds
    assert result["objects"] == 2
    # The error of a mean is at most the mean of the errors; the untrained lose to a plain colour.
    assert result["psnr"]["mean_of_samples"] > result["psnr"]["one_sample"]
    assert result["margin"] < 0
    assert result["protocol"]["samples"] == 2


def test_command_takes_the_objects_that_are_listed(data, tmp_path, capsys):
    (tmp_path / "only.json").write_text('["ball"]')
    settings = "--weights", data / "weights", "--samples", 1, "--steps", 1
    assert run(data / "views16", *settings, "--only", tmp_path / "only.json") == 0
    text = capsys.readouterr().out
    for word in ("1 objects", "PSNR dB", "mean of samples", "over the better baseline", "12 views an object"):
        assert word in text
    (tmp_path / "only.json").write_text('["bell"]')
    assert run(data / "views16", *settings, "--only", tmp_path / "only.json") == 2
    assert "did you mean 'ball'" in capsys.readouterr().err
    (tmp_path / "only.json").write_text("[]")
    assert run(data / "views16", *settings, "--only", tmp_path / "only.json") == 2


def test_command_refuses_pictures_of_another_size(data, capsys):
    assert run(data / "views24", "--weights", data / "weights") == 2
    assert "24 pixels wide" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--prior", "zero124"], "zero123"),
        (["--weights", "absent/folder"], "absent"),
    ],
)
def test_command_refuses_unknown_priors_and_weights(data, capsys, arguments, word):
    assert run(data / "views16", *arguments) in {2, 3}
    assert word in capsys.readouterr().err


def test_command_refuses_what_is_no_dataset(data, capsys):
    assert run(data / "meshes", "--weights", data / "weights") == 2
    assert "render-dataset" in capsys.readouterr().err
