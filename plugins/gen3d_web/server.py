"""Serve the page on this computer: nothing is asked of the network, and nothing but the runs is given away."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import click

from gen3d.errors import BadInput, Unavailable
from gen3d.lock import locked
from gen3d_web.jobs import FOLDER, Jobs
from gen3d_web.offers import FULL, LARGEST_FILE, offers
from gen3d_web.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ADDRESS = "127.0.0.1"
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_SHARE": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""What gradio would else tell others."""


class Server:
    """The page, its queue, and who runs it; one a folder of runs.

    Args:
        runs: the folder.
        port: default: the first from 7860 that is free.
        profile: chosen at first.
        vram: what a run may take of the GPU's memory.
        recipes: files to offer besides the shipped recipes.

    Raises:
        BadInput: the folder, the port or a recipe cannot be used.
        Unavailable: gradio is missing.
    """

    def __init__(
        self,
        runs: Path,
        port: int | None = None,
        profile: str | None = None,
        vram: str | None = None,
        recipes: Iterable[str] = (),
    ) -> None:
        self.jobs, offered = Jobs(runs), offers(recipes)
        _set_up_gradio(self.jobs.runs)
        import torch

        from gen3d_web.new_views import NewViews
        from gen3d_web.page import Page

        has_cuda = torch.cuda.is_available()
        wanted, views = profile or (FULL if has_cuda else "mini"), NewViews(device="cuda" if has_cuda else "cpu")
        self._lock = locked(self.jobs.runs / FOLDER)
        self._worker = Worker(self.jobs)
        self._page = Page(self.jobs, self._worker, offered, wanted, vram, views).build()
        try:
            self._page.launch(server_port=port, **_options(self.jobs.runs))
        except OSError as error:
            self._lock.release()
            raise BadInput(f"port {port} is taken", place="--port", remedy="choose another, or none") from error
        self.port = int(self._page.server_port)
        self._worker.start()

    def close(self) -> None:
        """End; the running job saves first, and the next server goes on with it."""
        self._page.close(verbose=False)
        self._worker.close()
        self._lock.release()


def serve(
    runs: Path,
    port: int | None = None,
    profile: str | None = None,
    vram: str | None = None,
    recipes: Iterable[str] = (),
) -> None:
    """Serve until Ctrl-C. See `Server`."""
    server = Server(runs, port, profile, vram, recipes)
    click.echo(f"open http://{ADDRESS}:{server.port} in a browser; Ctrl-C ends it, and what runs goes on next time")
    click.echo(f"from another computer: ssh -L {server.port}:{ADDRESS}:{server.port} THIS_ONE, then the same address")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo("saving what runs")
    finally:
        server.close()


def _set_up_gradio(runs: Path) -> None:
    """Before it is imported: it reads the environment then."""
    os.environ.update({**QUIET, "GRADIO_TEMP_DIR": str(runs / FOLDER / "cache")})
    try:
        import gradio  # noqa: F401 (only whether it is there)
    except ImportError as error:
        remedy = "pip install 'gen3d[web]'"
        raise Unavailable(
            "the page needs gradio, which is not installed", place="gen3d serve", remedy=remedy
        ) from error


def _options(runs: Path) -> dict[str, Any]:
    import gradio
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from gen3d_web.cards import CSS
    from gen3d_web.guard import HOSTS, Guard

    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[*HOSTS])
    font, mono = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")  # the computer's own: none is fetched
    return {
        "server_name": ADDRESS,
        "share": False,
        "quiet": True,
        "prevent_thread_lock": True,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": [],
        "strict_cors": True,
        "allowed_paths": [str(runs)],
        "max_file_size": LARGEST_FILE,
        "theme": gradio.themes.Default(primary_hue="indigo", font=font, font_mono=mono),
        "css": CSS,
        "app_kwargs": {"middleware": [hosts, Middleware(Guard, home=runs)]},
    }
