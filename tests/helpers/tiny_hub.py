"""A hub of repositories on this machine: the few answers that the real client asks for, and ways to give wrong ones."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Repository:
    """A folder that the hub shows.

    Args:
        folder: its files.
        refusal: status and the client's error code, with which every request is answered.
        cut: bytes after which a file's connection ends, by its name.
        altered: files of which one byte arrives as another.
    """

    folder: Path
    refusal: tuple[int, str] | None = None
    cut: dict[str, int] = field(default_factory=dict)
    altered: set[str] = field(default_factory=set)

    def listing(self) -> dict[str, Any]:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {"id": "x", "sha": COMMIT, "siblings": [self._sibling(path) for path in files]}

    def _sibling(self, path: Path) -> dict[str, Any]:
        content, name = path.read_bytes(), path.relative_to(self.folder).as_posix()
        about = {"rfilename": name, "size": len(content), "blobId": hashlib.sha1(_git(content)).hexdigest()}
        if path.suffix in {".safetensors", ".bin", ".ckpt"}:
            lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            about["lfs"] = lfs
        return about


def _git(content: bytes) -> bytes:
    return b"blob %d\0" % len(content) + content


@dataclass
class Hub:
    """Repositories by "owner/name", and what was asked: "GET /path"."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub on a free port of this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[Hub]
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        found = api or file
        repository = self.hub.repositories.get(found[1]) if found else None
        if repository is None:
            self._answer(404 if found else 400, {"X-Error-Code": "RepoNotFound"})
        elif repository.refusal is not None:
            status, code = repository.refusal
            message = "Invalid credentials in Authorization header" if code == "Credentials" else "no"
            self._answer(status, {"X-Error-Code": code, "X-Error-Message": message})
        elif found is api and found[2] not in (None, "main", COMMIT):
            self._answer(404, {"X-Error-Code": "RevisionNotFound"})
        elif found is api:
            self._answer(200, {"Content-Type": "application/json"}, json.dumps(repository.listing()).encode())
        else:
            self._file(repository, file[3])

    do_HEAD = do_GET

    def _file(self, repository: Repository, name: str) -> None:
        path = repository.folder / name
        if not path.is_file():
            self._answer(404, {"X-Error-Code": "EntryNotFound"})
            return
        content = path.read_bytes()
        sibling = repository._sibling(path)
        etag = sibling["lfs"]["sha256"] if "lfs" in sibling else sibling["blobId"]
        if name in repository.altered:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = int(re.sub(r"\D", "", self.headers.get("Range", "bytes=0-")) or 0)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        cut = repository.cut.get(name, len(content)) - start
        self._answer(206 if start else 200, headers, content[start:], cut=cut)

    def _answer(self, status: int, headers: dict[str, str], content: bytes = b"", cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut is not None and cut < len(content):
            self.wfile.write(content[: max(cut, 0)])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(content)
