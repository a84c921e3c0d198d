"""Fetching with the hub's real client from a hub on this machine, and everything that can go wrong on the way."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from gen3d.errors import BadInput, Gen3dError, Unavailable
from gen3d.weights import store
from gen3d.weights.hub import Source
from gen3d.weights.manage import add, fetch, verify
from gen3d_zero123.loader import load
from gen3d_zero123.places import find
from tiny_hub import COMMIT, Hub, Repository, serving
from tiny_ldm import zero123_original
from tiny_zero123 import write_tiny_zero123

FIRST, SECOND, THIRD = "bennyguo/zero123-xl-diffusers", "kxic/zero123-xl", "ashawkey/zero123-xl-diffusers"
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def served() -> Iterator[Hub]:
    with serving() as hub:
        yield hub


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a repository holds, with files that nobody needs."""
    folder = write_tiny_zero123(tmp_path_factory.mktemp("repository") / "tiny")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "Zero1to3StableDiffusionPipeline"}))
    for junk in (
        "README.md",
        "unet/diffusion_pytorch_model.bin",
        "unet/model.onnx",
        "safety_checker/model.safetensors",
    ):
        (folder / junk).parent.mkdir(exist_ok=True)
        (folder / junk).write_bytes(b"not to be fetched")
    return folder


@pytest.fixture
def hub(served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Reached as the real one is, with empty caches, and nothing else reachable."""
    served.repositories.clear()
    served.asked.clear()
    monkeypatch.setenv("GEN3D_CACHE", str(tmp_path / "gen3d"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", served.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", served.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the client's attempts
    connect = socket.socket.connect

    def only_here(self: socket.socket, address: tuple[str, int]) -> None:
        assert address[0] in ("127.0.0.1", "localhost"), f"a test reached out to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)
    return served


def fetched(hub: Hub) -> list[str]:
    return sorted(
        {line.partition(COMMIT)[2].lstrip("/") for line in hub.asked if line.startswith("GET") and "resolve" in line}
    )


def test_only_what_is_needed_is_fetched_and_then_never_asked_for_again(
    hub: Hub, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories[FIRST] = Repository(written)
    said: list[str] = []
    entry = fetch("zero123-xl", said.append)
    assert fetched(hub) == [
        "cc_projection/config.json",
        "cc_projection/diffusion_pytorch_model.safetensors",
        "image_encoder/config.json",
        "image_encoder/model.safetensors",
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        UNET,
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    assert sorted(entry.files) == fetched(hub)
    assert (entry.kind, entry.source, entry.revision) == ("zero123", FIRST, COMMIT)
    assert (entry.licence, entry.options) == ("MIT", {"pose": "radius"})
    assert said[0] == f"zero123-xl from {FIRST}, commit {COMMIT[:12]}"
    asked = len(hub.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch("zero123-xl") == entry
    folder = find("zero123-xl")
    networks = load(folder, "zero123-xl").state_dict()
    assert all(torch.equal(networks[name], value) for name, value in load(written, "x").state_dict().items())
    assert verify("zero123-xl") == (entry, [])
    assert len(hub.asked) == asked


def test_mirrors_are_tried_in_order(hub: Hub, written: Path, tmp_path: Path) -> None:
    incomplete = Path(shutil.copytree(written, tmp_path / "incomplete"))
    shutil.rmtree(incomplete / "vae")
    hub.repositories[SECOND] = Repository(incomplete)
    hub.repositories[THIRD] = Repository(written)
    said: list[str] = []
    entry = fetch("zero123-xl", said.append)
    assert entry.source == THIRD
    assert said[0] == f"{FIRST}: is gone from the hub, or private"
    assert said[2] == f"{SECOND}: has no folder vae"
    assert not any(f"/{SECOND}/resolve/" in line for line in hub.asked)  # nothing of what could not be used


@pytest.mark.parametrize(
    ("refusal", "cause", "remedy"),
    [
        (None, "is gone from the hub, or private", "gen3d weights add NAME SOURCE"),
        ((401, "RepoNotFound"), "is gone from the hub, or private", "gen3d weights add NAME SOURCE"),
        ((403, "GatedRepo"), "is gated", f"/{FIRST}, then: hf auth login"),
        ((401, "GatedRepo"), "is gated", f"/{FIRST}, then: hf auth login"),
        ((401, "Credentials"), "is not given to this account (HTTP 401)", "hf auth login"),
        ((403, "Forbidden"), "is not given to this account (HTTP 403)", "hf auth login"),
        ((500, "Broken"), "the hub does not answer as it should (HTTP 500)", "try again later"),
    ],
)
def test_a_repository_that_is_not_given(
    hub: Hub, written: Path, refusal: tuple[int, str] | None, cause: str, remedy: str, tmp_path: Path
) -> None:
    if refusal is not None:
        hub.repositories[FIRST] = Repository(written, refusal)
    with pytest.raises(Unavailable) as caught:
        fetch(FIRST)
    first, second = str(caught.value).splitlines()
    assert first == f"{FIRST}: {cause}"
    assert remedy in second
    assert caught.value.exit_code == 3
    assert store.read(FIRST) is None
    assert not list(tmp_path.glob("hub/**/*.safetensors"))


def test_when_no_mirror_gives_them_each_is_named_with_its_reason(hub: Hub, written: Path) -> None:
    hub.repositories[SECOND] = Repository(written, (403, "GatedRepo"))
    with pytest.raises(Unavailable, match="none of 3 repositories gives them") as caught:
        fetch("zero123-xl")
    lines = str(caught.value).splitlines()
    assert f"{FIRST}: is gone" in lines[1]
    assert f"{SECOND}: is gated" in lines[2]
    assert f"{THIRD}: is gone" in lines[3]


def test_a_connection_that_is_cut_is_gone_on_from(hub: Hub, written: Path, tmp_path: Path) -> None:
    hub.repositories[FIRST] = repository = Repository(written, cut={UNET: 5000})
    with pytest.raises(Unavailable, match=r"cannot be reached|cut short") as caught:
        fetch("zero123-xl")
    assert "goes on where it was" in str(caught.value)
    assert store.read("zero123-xl") is None
    with pytest.raises(Unavailable, match="gen3d weights fetch zero123-xl"):
        find("zero123-xl")
    repository.cut.clear()
    entry = fetch("zero123-xl")
    assert entry.incomplete() == []
    assert (entry.folder / UNET).read_bytes() == (written / UNET).read_bytes()


def test_what_arrives_wrong_is_refused_and_removed(hub: Hub, written: Path, tmp_path: Path) -> None:
    hub.repositories[FIRST] = repository = Repository(written, altered={UNET})
    with pytest.raises(BadInput, match=rf"{UNET} is not what the hub says it is: wrong checksum") as caught:
        fetch("zero123-xl")
    assert caught.value.exit_code == 2
    assert store.read("zero123-xl") is None
    assert not list((tmp_path / "hub").glob(f"*/snapshots/*/{UNET}"))
    repository.altered.clear()
    assert (fetch("zero123-xl").folder / UNET).read_bytes() == (written / UNET).read_bytes()
    repository.altered.add("unet/config.json")  # a small file, which has git's checksum
    shutil.rmtree(tmp_path / "hub")
    with pytest.raises(BadInput, match=r"unet/config.json is not what the hub says"):
        fetch("zero123-xl")


def test_a_disk_that_is_too_small_is_known_before(hub: Hub, written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories[FIRST] = Repository(written)
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(Unavailable, match=r"needs \d\.\d MB, and 0\.0 MB are free\n.*HF_HOME") as caught:
        fetch("zero123-xl")
    assert caught.value.exit_code == 3
    assert fetched(hub) == []


def test_a_disk_that_fills_up(hub: Hub, written: Path) -> None:
    import resource

    hub.repositories[FIRST] = Repository(written)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(Gen3dError) as caught:
            fetch("zero123-xl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "the disk is full" in str(caught.value)
    assert caught.value.exit_code == 3
    assert store.read("zero123-xl") is None
    assert fetch("zero123-xl").incomplete() == []


def test_no_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(Unavailable, match=r"http://127.0.0.1:\d+ cannot be reached: .*\n.*fetch again") as caught:
            fetch("zero123-xl")
    assert caught.value.exit_code == 3
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Unavailable, match=r"switched off by HF_HUB_OFFLINE\n.*gen3d weights add"):
        fetch("zero123-xl")
    assert hub.asked == []


def test_damage_is_found_and_only_that_is_fetched_again(hub: Hub, written: Path) -> None:
    hub.repositories[FIRST] = Repository(written)
    entry = fetch("zero123-xl")
    file = entry.folder / UNET
    content = file.read_bytes()
    file.resolve().write_bytes(content[:-1] + b"?")
    assert verify("zero123-xl") == (entry, [UNET])
    assert find("zero123-xl") == entry.folder  # a run looks at sizes alone
    file.resolve().write_bytes(content[:-1])
    with pytest.raises(
        Unavailable, match=rf"{UNET} is missing or cut short.*\n.*again: gen3d weights fetch zero123-xl"
    ):
        find("zero123-xl")
    hub.asked.clear()
    assert fetch("zero123-xl") == entry
    assert fetched(hub) == [UNET]
    assert verify("zero123-xl") == (entry, [])


def test_one_file_of_a_repository(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "cvlab"
    folder.mkdir()
    original = zero123_original()
    original.save(folder / "105000.ckpt")
    (folder / "165000.ckpt").write_bytes(b"another")
    hub.repositories["cvlab/zero123-weights"] = Repository(folder)
    entry = fetch("zero123-105000")  # its first repository is gone
    assert entry.source == "cvlab/zero123-weights:105000.ckpt"
    assert fetched(hub) == ["105000.ckpt"]
    assert entry.folder == store.root() / "zero123-105000"
    assert list(entry.made_from) == ["105000.ckpt"]
    networks = load(find("zero123-105000"), "zero123-105000")
    assert torch.equal(networks.unet.conv_in.weight, original.unet.conv_in.weight)
    (entry.folder / UNET).write_bytes(b"damaged")
    assert fetch("zero123-105000") == entry  # converted again, from the hub's cache
    assert fetched(hub) == ["105000.ckpt"]


def test_a_repository_under_a_name_of_one_s_own(hub: Hub, written: Path) -> None:
    hub.repositories["someone/stable"] = Repository(written)
    entry = add("mine", f"someone/stable@{COMMIT}", given={"pose": "polar"})
    assert (entry.name, entry.source, entry.revision) == ("mine", f"someone/stable@{COMMIT}", COMMIT)
    assert load(find("mine"), "mine").settings.pose == "polar"
    (entry.folder / UNET).resolve().unlink()
    assert fetch("mine").options == {"pose": "polar"}
    with pytest.raises(Unavailable, match="no such revision"):
        add("other", "someone/stable@v9")
    with pytest.raises(Unavailable, match=r"holds no file x\.ckpt"):
        add("other", "someone/stable:x.ckpt")


def test_a_repository_of_another_model(hub: Hub, tmp_path: Path) -> None:
    hub.repositories[FIRST] = Repository(write_tiny_zero123(tmp_path / "plain", in_channels=4))
    with pytest.raises(BadInput, match="conv_in has 4 input channels"):
        fetch("zero123-xl")
    assert store.read("zero123-xl") is None


def test_what_programs_of_the_hub_have_fetched_is_used(
    hub: Hub, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    snapshot = Path(constants.HF_HUB_CACHE) / f"models--{SECOND.replace('/', '--')}"
    shutil.copytree(written, snapshot / "snapshots" / COMMIT)
    (snapshot / "refs").mkdir()
    (snapshot / "refs" / "main").write_text(COMMIT)
    assert find("zero123-xl") == snapshot / "snapshots" / COMMIT
    (snapshot / "snapshots" / COMMIT / UNET).unlink()
    (snapshot / "snapshots" / COMMIT / "unet" / "diffusion_pytorch_model.bin").unlink()
    with pytest.raises(Unavailable, match="not on this machine"):
        find("zero123-xl")


def test_a_name_that_nobody_has_published(hub: Hub) -> None:
    with pytest.raises(BadInput, match=r"no weights are published by this name\n.*did you mean 'zero123-xl'"):
        fetch("zero123-lx")
    assert hub.asked == []


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("owner/name", Source("owner/name")),
        ("owner/name@v1", Source("owner/name", "v1")),
        ("owner/name:a/b.ckpt", Source("owner/name", "main", "a/b.ckpt")),
        ("owner/name@v1:b.ckpt", Source("owner/name", "v1", "b.ckpt")),
        ("/owner/name", None),
        ("./name", None),
        ("name", None),
        ("a/b/c", None),
    ],
)
def test_how_repositories_are_written(text: str, source: Source | None) -> None:
    assert Source.parse(text) == source
    if source is not None:
        assert str(source) == text
