"""The browser's half of viser's protocol, as far as tests of the live viewer need it, over a real websocket."""

import io
import math
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import viser
import zstandard
from PIL import Image
from viser.transforms import SO3
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from gen3d import Cameras

PATIENCE = 120.0
FOV = math.radians(49.1)


def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait for something that another thread does."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end, what or "it never happened"
        time.sleep(0.005)
    return result


class Visitor:
    """Somebody who has opened the page.

    Args:
        port: of the page.
        origin: the page that the browser says it is; None: it says nothing.
    """

    def __init__(self, port: int, origin: str | None = None) -> None:
        protocol: Any = [f"viser-v{viser.__version__}"]
        self.socket = connect(
            f"ws://127.0.0.1:{port}", subprotocols=protocol, origin=origin, compression=None, max_size=None
        )
        self.pictures: list[np.ndarray] = []
        self.depths: list[np.ndarray] = []
        self.widgets: dict[str, dict[str, Any]] = {}
        self.frusta: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    @classmethod
    def when_served(cls, port: int) -> "Visitor":
        """Come when there is something to see: as viser starts it turns the first away, who come again."""

        def come() -> Visitor | None:
            with suppress(OSError):
                visitor = cls(port)
                until(lambda: visitor.widgets or not visitor.reader.is_alive())
                return visitor if visitor.widgets else None
            return None

        result: Visitor = until(come)
        return result

    def look(self, azimuth: float, size: int = 64) -> None:
        """Move the camera: around the object, a little above it, in a square window."""
        cameras = Cameras.orbit(azimuth, 0.3, 1.6, FOV, size)
        c2w = cameras.c2w[0].double().numpy()
        wxyz = SO3.from_matrix(c2w[:3, :3] * np.array([1.0, -1.0, -1.0])).wxyz
        self._send(
            type="ViewerCameraMessage",
            wxyz=wxyz.tolist(),
            position=c2w[:3, 3].tolist(),
            fov=FOV,
            near=0.01,
            far=1000.0,
            image_height=size,
            image_width=size,
            look_at=[0.0, 0.0, 0.0],
            up_direction=[0.0, 0.0, 1.0],
        )

    def set(self, label: str, value: Any) -> None:
        """Choose in a list, tick a box."""
        uuid = until(lambda: self.widgets.get(label), f"there is no {label!r}")["uuid"]
        self._send(type="GuiUpdateMessage", uuid=uuid, updates={"value": value})

    def press(self, label: str) -> None:
        """Click on a button."""
        self.set(label, value=True)

    def next_picture(self) -> np.ndarray:
        """The one that comes after those that are here."""
        count = len(self.pictures)
        until(lambda: len(self.pictures) > count, "no picture came")
        return self.pictures[-1]

    def text(self, label: str) -> str:
        """A line of the panel."""
        return str(self.widgets.get(label, {}).get("value", ""))

    def leave(self, *, abruptly: bool = False) -> None:
        """Close the tab, or have the network break."""
        if abruptly:
            self.socket.socket.shutdown(socket.SHUT_RDWR)
        else:
            self.socket.close()

    def _send(self, **message: Any) -> None:
        self.socket.send(msgspec.msgpack.encode(message))

    def _read(self) -> None:
        with suppress(ConnectionClosed, OSError):
            for raw in self.socket:
                assert isinstance(raw, bytes)
                length = int.from_bytes(raw[8:16], "little")
                inner = zstandard.ZstdDecompressor().decompress(raw[16 : 16 + length])
                for message in msgspec.msgpack.decode(inner)["messages"]:
                    self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        kind, props = message["type"], message.get("props", {})
        if kind == "BackgroundImageMessage" and message["rgb_data"]:
            self.depths.append(np.asarray(Image.open(io.BytesIO(message["depth_data"]))))
            self.pictures.append(np.asarray(Image.open(io.BytesIO(message["rgb_data"]))))
        elif kind == "CameraFrustumMessage":
            self.frusta[message["name"]] = message
        elif kind == "RemoveSceneNodeMessage":
            self.frusta.pop(message["name"], None)
        elif kind == "NotificationShowMessage":
            self.notes.append(props["body"])
        elif kind.startswith("Gui") and props.get("label"):
            self.widgets[props["label"]] = {"uuid": message["uuid"], "value": message.get("value"), **props}
        elif kind == "GuiUpdateMessage":
            for widget in filter(lambda widget: widget["uuid"] == message["uuid"], self.widgets.values()):
                widget.update(message["updates"])
