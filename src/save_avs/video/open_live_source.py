"""Opening live sources: devices, network streams and named pipes."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError

from save_avs.errors import MediaError, UsageError
from save_avs.video.container import ANY_METADATA, error_reason

_CAMERA = "v4l2"  # FFmpeg's format for /dev/video0
_DEVICES = ("alsa", "avfoundation", "dshow", "lavfi", "pulse", "v4l2", "x11grab")

# Kinds of sources whose sender blocks until its data is read. All others send in real time.
_BLOCKING = ("file", "ftp", "http", "https", "lavfi", "pipe", "tcp")
_OPTIONS = {
    "rtsp": {"rtsp_flags": "prefer_tcp"},
    "rtsps": {"rtsp_flags": "prefer_tcp"},
    "v4l2": {"timestamps": "abs"},  # the wall clock, as alsa's: a camera and a microphone share it
}
_POLL = 0.05  # seconds


def is_live(source: str | os.PathLike[str]) -> bool:
    """Return whether a source can be read only once: a URL, a device (``v4l2:/dev/video0``), a pipe."""
    return _kind(str(source)) != "file"


def is_blocking(source: str | os.PathLike[str]) -> bool:
    """Return whether the sender waits while nobody reads: a pipe does, a camera does not."""
    return _kind(str(source)) in _BLOCKING


@contextmanager
def open_live(source: str, *, timeout: float, stop: threading.Event) -> Iterator[InputContainer]:
    """Open a live source for reading; a read that receives nothing for ``timeout`` seconds fails.

    Raises:
        UsageError: no such device or pipe.
        MediaError: it cannot be opened, or sends nothing that FFmpeg reads.
    """
    try:
        if _kind(source) == "pipe":
            with _Pipe(source, timeout, stop) as pipe, av.open(pipe, "r", **ANY_METADATA) as container:
                yield container
        else:
            with av.open(**_open_arguments(source), timeout=timeout, **ANY_METADATA) as container:
                yield container
    except (FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{source}: cannot be opened ({error_reason(error)})") from error


def _open_arguments(source: str) -> dict[str, Any]:
    kind = _kind(source)
    if kind not in _DEVICES:
        return {"file": source, "options": _OPTIONS.get(kind, {})}
    if not any(kind in name.split(",") for name in av.formats_available):
        raise UsageError(f"{source}: this FFmpeg does not support {kind} devices")
    name = source if source.startswith("/") else source.partition(":")[2]
    return {"file": name, "format": kind, "options": _OPTIONS.get(kind, {})}


def _kind(source: str) -> str:
    """``file``, ``pipe``, the format of a device, or the scheme of a URL."""
    scheme, colon, rest = source.partition(":")
    if colon and (scheme in _DEVICES or rest.startswith("//")):
        return scheme
    path = Path(source)
    if path.is_fifo():
        return "pipe"
    return _CAMERA if path.exists() and stat.S_ISCHR(path.stat().st_mode) else "file"


class _Pipe:
    """A named pipe as a file object, read until its writer closes it or ``stop`` is set."""

    def __init__(self, path: str, timeout: float, stop: threading.Event) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._timeout = timeout
        self._stop = stop

    def __enter__(self) -> _Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes, waiting for the first; empty at the end or after the timeout."""
        for _ in range(max(1, round(self._timeout / _POLL))):
            if self._stop.is_set():
                break
            ready, _, _ = select.select([self._fd], [], [], _POLL)
            if ready:
                return os.read(self._fd, size)
        return b""
