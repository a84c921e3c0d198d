"""Stands before the server: no file from outside the runs leaves it, and the page loads nothing from elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
"""Names by which a browser may ask: a page of somebody else's that has its own name point here is refused."""
SERVED = frozenset({".glb", ".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff", ".tga"})
_FILE = re.compile(r"/file[=/](.*)", re.DOTALL)
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)


class Guard:
    """Refuses what asks for files elsewhere, whatever gradio would say, and tells the browser to do the same.

    Args:
        app: the server.
        home: the folder of the runs.
    """

    def __init__(self, app: ASGIApp, home: Path) -> None:
        self.app, self.home = app, home

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
            await send(message)

        answer: Any = self.app if self.allows(scope["path"]) else PlainTextResponse("not found", 404)
        await answer(scope, receive, with_policy)

    def allows(self, path: str) -> bool:
        """Whether an address, decoded, may be asked for: a file only where it is truly one of the runs'."""
        if "/proxy=" in path:
            return False
        wanted = _FILE.search(path)
        if wanted is None:
            return True
        try:
            place = self.home.joinpath(wanted[1]).resolve(strict=True)  # an absolute path stays what it is
        except (OSError, ValueError, RuntimeError):
            return False
        within = place.is_relative_to(self.home.resolve()) and ".." not in wanted[1].replace("\\", "/").split("/")
        return within and place.is_file() and place.suffix.lower() in SERVED
