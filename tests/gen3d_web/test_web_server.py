"""The real server: who may ask it, and that no file from outside the runs leaves it."""

import http.client
import json
import os
import socket
from pathlib import Path

import pytest

from gen3d.cli import guarded
from gen3d.errors import Unavailable
from gen3d_web import server as module
from gen3d_web.offers import LARGEST_FILE
from served import PATIENCE, served

pytestmark = pytest.mark.timeout(4 * PATIENCE)

SECRET = b"not for everybody"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A server, and files inside and outside of its runs: folder and port."""
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("place")
    run = folder / "runs" / "a"
    (run / "asset").mkdir(parents=True)
    (run / "asset" / "asset.glb").write_bytes(b"a mesh")
    (run / "log.txt").write_bytes(SECRET)
    (folder / "secret.glb").write_bytes(SECRET)
    (folder / "secret").mkdir()
    (folder / "secret" / "asset.glb").write_bytes(SECRET)
    (run / "link.glb").symlink_to(folder / "secret.glb")
    (folder / "runs" / "b").symlink_to(folder / "secret")
    with served(folder) as (address, _):
        yield folder, int(address.rpartition(":")[2])


def get(port, path, method="GET", body=None, **headers):
    """Status, headers and body; the path is sent as it is, with nothing made straight."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_a_file_of_a_run_is_served(place):
    folder, port = place
    status, headers, body = get(port, f"/gradio_api/file={folder}/runs/a/asset/asset.glb")
    assert (status, body) == (200, b"a mesh")
    assert "default-src 'self'" in headers["content-security-policy"]


@pytest.mark.parametrize("prefix", ["/gradio_api/file=", "/file=", "/gradio_api/file/", "/gradio_api//file="])
@pytest.mark.parametrize(
    "wanted",
    [
        "/etc/passwd",
        "{folder}/secret.glb",
        "{folder}/runs/../secret.glb",
        "{folder}/runs/a/../../secret.glb",
        "{folder}/runs/a/%2e%2e/%2e%2e/secret.glb",
        "{folder}/runs/a/..%2f..%2fsecret.glb",
        "{folder}/runs/a/link.glb",
        "{folder}/runs/b/asset.glb",
        "{folder}/runs/a/log.txt",
        "{folder}/runs/a",
        "../secret.glb",
        "secret.glb",
        "file://{folder}/secret.glb",
        "http://127.0.0.1:{port}/config",
        "{folder}/runs/a/asset/asset.glb%00.txt",
        "//{folder}/secret.glb",
    ],
)
def test_no_other_file_is_served(place, prefix, wanted):
    folder, port = place
    status, _, body = get(port, prefix + wanted.format(folder=folder, port=port))
    assert status in {403, 404}
    assert SECRET not in body
    assert b"root:" not in body


@pytest.mark.parametrize(
    "path", ["/static/{up}etc/passwd", "/assets/{up}etc/passwd", "/svelte/{up}etc/passwd", "/{up}etc/passwd"]
)
@pytest.mark.parametrize("up", ["../" * 9, "..%2f" * 9, "%2e%2e/" * 9])
def test_other_addresses_lead_nowhere_else(place, path, up):
    _, port = place
    _, _, body = get(port, path.format(up=up))
    assert b"root:" not in body


def test_nothing_is_fetched_for_somebody(place):
    _, port = place
    assert get(port, "/gradio_api/proxy=http://127.0.0.1:1/x")[0] == 404


def test_a_field_takes_only_what_was_uploaded(place):
    folder, port = place
    config = json.loads(get(port, "/config")[2])
    draw = next(each for each in config["dependencies"] if len(each["inputs"]) == 5 and len(each["outputs"]) == 2)
    file = {"path": str(folder / "secret.glb"), "meta": {"_type": "gradio.FileData"}}
    asked = {"data": [file, 0, 0, 0, 0], "fn_index": draw["id"], "session_hash": "x"}
    status, _, body = get(
        port, "/gradio_api/queue/join?", "POST", json.dumps(asked), **{"Content-Type": "application/json"}
    )
    assert status == 200, body
    _, _, told = get(port, "/gradio_api/queue/data?session_hash=x")
    assert b'"success":false' in told
    assert SECRET not in told


def test_the_page_of_a_stranger_cannot_ask(place):
    _, port = place
    assert get(port, "/config", Host="evil.example")[0] == 400
    assert get(port, "/config", Host=f"localhost:{port}")[0] == 200


def test_only_this_computer_can_ask(place):
    _, port = place
    with socket.socket() as others, pytest.raises(OSError, match="refused"):
        others.connect(("127.0.0.2", port))  # every address of this computer, were it bound to all


def test_an_upload_that_is_too_large_is_refused(place):
    _, port = place
    rim = "rim"
    data = os.urandom(LARGEST_FILE + 1024)
    head = f'--{rim}\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'.encode()
    status, _, _ = get(
        port,
        "/gradio_api/upload",
        "POST",
        head + data + f"\r\n--{rim}--\r\n".encode(),
        **{"Content-Type": f"multipart/form-data; boundary={rim}"},
    )
    assert status == 413


def test_two_servers_do_not_share_a_queue(place, capsys):
    folder, _ = place
    assert guarded(lambda: module.serve(folder / "runs")) == 2
    assert "another process is writing to it" in capsys.readouterr().err


def test_without_gradio_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    with pytest.raises(Unavailable, match=r"pip install 'gen3d\[web\]'") as told:
        module.serve(tmp_path / "runs")
    assert told.value.exit_code == 3


def test_a_recipe_that_cannot_be_offered_is_told_before_anything_starts(tmp_path, capsys):
    assert guarded(lambda: module.serve(tmp_path / "runs", recipes=[str(Path("none.yaml"))])) == 2
    assert "none.yaml: does not exist" in capsys.readouterr().err
