"""The page in the browser: all that knows viser. It is served on this computer only, and asks for nothing elsewhere."""

import asyncio
import io
import math
import socket
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from getpass import getuser
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from jaxtyping import Float

from gen3d import Cameras, Unavailable, Views
from gen3d_viewer.picture import KINDS, Kind, Picture, thumbnail

HOST = "127.0.0.1"
_LOCAL = {HOST, "localhost"}
_PORTS = range(1, 65536)
_TRIES = 100
_START = (1.69, 0.3, 0.45)  # from the front, a little to the side and from above; the object's longest side is 1
_FOV = math.radians(49.1)
_EXTREME = 4.0  # aspect ratio of a window
_FRUSTA, _FRUSTUM = 12, 0.12  # at most, and the size of one
_RANDOM, _REFERENCE = (70, 110, 220), (235, 130, 30)
_FLIP = np.array([1.0, -1.0, -1.0])  # between OpenGL's camera axes and OpenCV's, which viser has
_QUALITY = 88


@dataclass(frozen=True)
class Viewpoint:
    """Where somebody looks from.

    Args:
        c2w: camera to world, OpenGL axes.
        fov: vertical, radians.
        width: of their window, pixels.
        height: of their window, pixels.
    """

    c2w: Float[np.ndarray, "4 4"]
    fov: float
    width: int
    height: int

    @property
    def is_one(self) -> bool:
        """Whether anything can be seen from there: a client may send any numbers."""
        return bool(np.isfinite(self.c2w).all()) and 0 < self.fov < math.pi

    @property
    def aspect(self) -> float:
        """Width over height of the picture, which is drawn out where a window is an extreme one."""
        return min(max(self.width / self.height, 1 / _EXTREME), _EXTREME)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal where the same is seen."""
        return (*self.c2w.round(5).flatten().tolist(), round(self.fov, 5), self.width, self.height)

    def camera(self, height: int) -> Cameras:
        """For a picture with so many rows."""
        c2w, fov = torch.from_numpy(self.c2w).float()[None], torch.tensor([self.fov])
        return Cameras(c2w, fov, height, max(round(height * self.aspect), 1))


@dataclass
class Page:
    """A page that shows pictures from where each person looks, some lines of text, and buttons.

    Args:
        title: of the panel.
        port: where it is served, or at the next that is free.
        lines: names of the lines of text.
        buttons: what can be asked for, by what the buttons say.
    """

    title: str
    port: int
    lines: tuple[str, ...]
    buttons: Mapping[str, str]
    wishes: SimpleQueue[str] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        self._server = server(self.port)
        self.port = self._server.get_port()
        self._refused: set[int] = set()
        self._closing: set[asyncio.Future[None]] = set()
        self._server._websock_server.on_client_connect(self._refuse_others)  # noqa: SLF001 (viser has no other way)
        camera = self._server.initial_camera
        camera.position, camera.look_at, camera.fov = _START, (0.0, 0.0, 0.0), _FOV
        self._frusta: list[Any] = []
        self._furnish(self._server.gui)

    def _furnish(self, gui: Any) -> None:
        gui.set_panel_label(self.title)
        gui.configure_theme(show_logo=False, show_share_button=False)
        self._kind = gui.add_dropdown("show", KINDS)
        self._with_cameras = gui.add_checkbox("cameras of the step", initial_value=True)
        self._with_cameras.on_update(lambda _: self._show_frusta())
        self._buttons = {name: gui.add_button(text) for name, text in self.buttons.items()}
        for name, button in self._buttons.items():
            button.on_click(lambda event, name=name: self._ask(event.client_id, name))
        self._text = {name: gui.add_text(name, "", multiline=name == "terms", disabled=True) for name in self.lines}

    @property
    def address(self) -> str:
        """For a browser on this computer."""
        return f"http://{HOST}:{self.port}"

    @property
    def where(self) -> str:
        """What a person needs to know to open it, from elsewhere too."""
        forward = f"ssh -L {self.port}:{HOST}:{self.port} {getuser()}@{socket.gethostname()}"
        return f"watch at {self.address}\n  from another computer first: {forward}"

    @property
    def kind(self) -> Kind:
        """What people want to see."""
        return next((kind for kind in KINDS if kind == self._kind.value), KINDS[0])  # a client may send anything

    def viewpoints(self) -> dict[int, Viewpoint]:
        """Where everybody who is there looks from."""
        if not self._server._connected_clients:  # noqa: SLF001 (asked after every step)
            return {}
        clients = self._server.get_clients().items()
        all_ = {name: _viewpoint(client.camera) for name, client in clients if name not in self._refused}
        return {name: viewpoint for name, viewpoint in all_.items() if viewpoint.is_one}

    def send(self, name: int, picture: Picture) -> None:
        """Show somebody a picture; nothing happens where they have left."""
        client = self._server.get_clients().get(name)
        if client is not None:
            scene = client.scene
            scene.set_background_image(picture.pixels, "jpeg", jpeg_quality=_QUALITY, depth=picture.distance)

    def tell(self, **lines: str) -> None:
        """Change lines of text."""
        for name, text in lines.items():
            if self._text[name].value != text:
                self._text[name].value = text

    def note(self, text: str) -> None:
        """Tell everybody who is there that something has happened."""
        for client in self._server.get_clients().values():
            client.add_notification(self.title, text, auto_close_seconds=8.0)

    def offer(self, *names: str) -> None:
        """Show these buttons, and no others."""
        for name, button in self._buttons.items():
            button.visible = name in names

    def show_cameras(self, views: Mapping[Cameras, Views], reference: Cameras | None) -> None:
        """Where the pictures were taken from, with what they show: the input's in another colour.

        Args:
            views: of one step.
            reference: the input picture's camera.
        """
        pictures = [(view, index) for view in views.values() for index in range(len(view.cameras))][:_FRUSTA]
        for name, (view, index) in enumerate(pictures):
            given = reference is not None and bool(torch.equal(view.cameras.c2w[index], reference.c2w[0]))
            self._show_camera(name, view, index, _REFERENCE if given else _RANDOM)
        for frustum in self._frusta[len(pictures) :]:
            frustum.remove()
        del self._frusta[len(pictures) :]

    def close(self) -> None:
        """Serve no more."""
        with redirect_stdout(io.StringIO()):
            self._server.stop()

    def _show_camera(self, name: int, view: Views, index: int, color: tuple[int, int, int]) -> None:
        from viser.transforms import SO3

        cameras = view.cameras
        c2w = cameras.c2w[index].double().cpu().numpy()
        frustum = self._server.scene.add_camera_frustum(
            f"/cameras/{name}",
            fov=float(cameras.fov[index]),
            aspect=cameras.width / cameras.height,
            scale=_FRUSTUM,
            thickness=0.004,
            color=color,
            image=thumbnail(view.image[index]),
            wxyz=SO3.from_matrix(c2w[:3, :3] * _FLIP).wxyz,
            position=c2w[:3, 3],
            visible=self._with_cameras.value,
        )
        self._frusta[name : name + 1] = [frustum]

    def _show_frusta(self) -> None:
        for frustum in list(self._frusta):
            frustum.visible = self._with_cameras.value

    def _ask(self, client: int, name: str) -> None:
        if client not in self._refused:
            self.wishes.put(name)

    def _refuse_others(self, connection: Any) -> None:
        """Pages of other sites, which a browser lets connect to this computer, see nothing and click nothing."""
        socket_ = self._server._websock_server._live_connections[connection.client_id]  # noqa: SLF001
        origin = socket_.request.headers.get("Origin")
        if origin is not None and urlsplit(origin).hostname not in _LOCAL:
            self._refused.add(connection.client_id)
            closing = asyncio.ensure_future(socket_.close(1008, "not from this page"))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def server(port: int) -> Any:
    """viser's, at this port or the next free one. Raises Unavailable where it is not installed or no port is free."""
    viser = imported()

    class Server(viser.ViserServer):  # type: ignore[misc, name-defined]
        """Without the tunnel that would show the page to the world."""

        def request_share_url(self, verbose: bool = True) -> None:
            return None

    with redirect_stdout(io.StringIO()):  # it says where it listens, in words of its own
        return Server(host=HOST, port=free_port(port), verbose=False)


def imported() -> Any:
    """The library. Raises Unavailable where it is not installed."""
    try:
        import viser
    except ImportError as error:
        remedy = "pip install 'gen3d[view]'"
        raise Unavailable(f"the live viewer needs viser: {error}", place="--watch", remedy=remedy) from error
    return viser


def free_port(port: int) -> int:
    """This one, or the next that nobody listens at. Raises Unavailable where there is none nearby."""
    candidates = range(port, min(port + _TRIES, _PORTS.stop))
    for candidate in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            return candidate
    raise Unavailable(f"no port from {port} to {candidates[-1]} is free", place="--port", remedy="give another one")


def _viewpoint(camera: Any) -> Viewpoint:
    from viser.transforms import SO3

    c2w = np.eye(4)
    c2w[:3, :3] = SO3(camera.wxyz).as_matrix() * _FLIP
    c2w[:3, 3] = camera.position
    return Viewpoint(c2w, float(camera.fov), max(camera.image_width, 1), max(camera.image_height, 1))
