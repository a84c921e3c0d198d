"""Debian's Chromium for tests of pages: without a window, WebGL in software, and a record of what it asked for."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

OPTIONS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
PATIENCE = 60_000
"""Milliseconds for a page that shares its cores with others."""


@dataclass
class Watched:
    """A page, and what happened in it.

    Args:
        page: playwright's.
        problems: errors and warnings of its console, and exceptions that nobody caught.
        requests: addresses of everything that it asked for; `blob:` and `data:` are of the page itself.
    """

    page: "Page"
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def chromium() -> str:
    """The program; where it or its driver is missing the test is skipped, or fails where all programs are wanted."""
    program = shutil.which("chromium")
    try:
        import playwright  # noqa: F401 (only whether it is there)
    except ImportError:
        program = None
    if program is None:
        text = "Chromium is not here: apt-get install chromium, pip install playwright"
        if os.environ.get("GEN3D_IMPORTERS") == "required":
            pytest.fail(text)
        pytest.skip(text)
    return program


@contextmanager
def opened_browser(**context: Any) -> Iterator[Watched]:
    """A blank page of a browser of its own.

    Args:
        **context: playwright's options of a context, such as `viewport`, `color_scheme` or `offline`.
    """
    program = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS), timeout=PATIENCE)
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(PATIENCE)
        watched = Watched(page)
        page.on(
            "console", lambda said: watched.problems.append(said.text) if said.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: watched.problems.append(str(error)))
        page.on("request", lambda request: watched.requests.append(request.url))
        try:
            yield watched
        finally:
            browser.close()


def until(page: Any, expression: str, argument: Any = None) -> None:
    """Wait for an expression to hold. Playwright's own waiting asks later, when a page's policy forbids it."""
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, f"waited for {expression}"
        time.sleep(0.05)
