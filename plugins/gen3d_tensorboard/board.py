"""A run's events as TensorBoard shows them: scalars, previews, the turntable, and what there was to say."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
from PIL import Image

from gen3d import Unavailable
from gen3d.events import Event
from gen3d.run import Run

FOLDER = "tensorboard"
"""In the run's directory: `tensorboard --logdir runs` shows all runs beside each other."""

_PAUSE = 1000 // 16  # milliseconds between two frames of the turntable


class Board:
    """Writes events of a run for TensorBoard. Raises Unavailable where its package is not installed.

    Terms of the loss and measures of the object's health are scalars under their stage's name, at the stage's steps.

    Args:
        run: whose events they are.
    """

    def __init__(self, run: Run) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            remedy = "pip install 'gen3d[tensorboard]', or leave --log tensorboard out"
            raise Unavailable("the package tensorboard is not installed", place="--log", remedy=remedy) from error
        self._open = SummaryWriter
        self._run = run
        self._writer: Any = None
        self._step = 0

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if self._writer is None:
            self._writer = self._open(str(self._run.directory / FOLDER))
        match event["event"]:
            case "step":
                self._step = event["step"]
                self._scalars(event["stage"], event["terms"])
            case "health":
                measures = {f"health/{k}": v for k, v in event.items() if isinstance(v, float) and k != "time"}
                self._scalars(event["stage"], measures)
            case "warning":
                self._writer.add_text("warnings", event["message"], self._step)
            case "preview":
                self._picture(f"{event['stage']}/preview", self._run.directory / event["path"])
            case "picture":
                self._picture(event["name"], self._run.directory / event["path"])
            case "run_finished":
                self._writer.close()
                self._writer = None

    def _scalars(self, stage: str, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{stage}/{name}", value, self._step)

    def _picture(self, name: str, path: Path) -> None:
        """A PNG as it is, a film as an animated GIF, which TensorBoard plays."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        frames = [Image.fromarray(frame) for frame in imageio.imiter(path)] if path.suffix == ".mp4" else []
        data = _animation(frames) if frames else path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            size = {"height": image.height, "width": image.width, "colorspace": len(image.convert("RGB").getbands())}
        picture = Summary.Image(encoded_image_string=data, **size)
        summary = Summary(value=[Summary.Value(tag=name.replace(" ", "_"), image=picture)])
        self._writer._get_file_writer().add_summary(summary, self._step)  # noqa: SLF001 (add_image would decode it)


def _animation(frames: list[Image.Image]) -> bytes:
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:], duration=_PAUSE, loop=0)
    return stream.getvalue()
