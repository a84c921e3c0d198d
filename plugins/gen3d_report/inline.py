"""Files as part of a page, up to a limit."""

import base64
import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

LIMIT = 48_000_000
"""Bytes of files in one page: what browsers of phones still open."""

_QUALITY = 88


@dataclass
class Inlined:
    """The files that a page holds, and those that it had no room for.

    Args:
        limit: bytes of all of them, as they are written in the page.
        used: so far.
        left_out: sentences about what is not in the page.
    """

    limit: int = LIMIT
    used: int = 0
    left_out: list[str] = field(default_factory=list)

    def base64(self, path: Path | None, data: bytes | None = None) -> str | None:
        """A file's content, or `data` made of it; None where there is no such file, or no room for it."""
        if path is None or not path.is_file():
            return None
        size = len(data) if data is not None else path.stat().st_size
        if self.used + 4 * size / 3 > self.limit:
            self.left_out.append(f"{path.name} ({size / 1e6:.1f} MB) is not in this page: it would become too large")
            return None
        text = base64.b64encode(path.read_bytes() if data is None else data).decode()
        self.used += len(text)
        return text

    def picture(self, path: Path) -> str | None:
        """A picture as a `data:` address of a WebP; None where there is none, or no room."""
        try:
            with Image.open(path) as picture:
                stream = io.BytesIO()
                picture.convert("RGB").save(stream, "WEBP", quality=_QUALITY)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            self.left_out.append(f"{path.name} cannot be read: {error}")
            return None
        text = self.base64(path, stream.getvalue())
        return f"data:image/webp;base64,{text}" if text else None

    def video(self, path: Path) -> str | None:
        """An MP4 as a `data:` address; None where there is none, or no room."""
        text = self.base64(path)
        return f"data:video/mp4;base64,{text}" if text else None


def policy(*scripts: str) -> str:
    """What the page may do: run these scripts and no others, and ask nobody for anything."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed} blob: 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; media-src data:; connect-src blob: data:; worker-src blob:"
    )
