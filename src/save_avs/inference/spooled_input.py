"""Inputs that are no local file (URLs, stdin, file objects), copied once into a temporary file."""

import os
import re
import shutil
import sys
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from save_avs._download import FileOrigin, OnBytes, RetryPolicy, ask_origin, download
from save_avs._text import resolved_path_text
from save_avs.errors import MediaError, SaveAvsError, UsageError
from save_avs.inference.frame_folder import find_sound
from save_avs.inference.result_key import file_fingerprint
from save_avs.inference.settings import SegmentationSettings

STDIN = "-"
_CHUNK = 1 << 20  # bytes copied at a time
_RETRY = RetryPolicy(attempts=3)
_MAX_NAME = 150  # bytes of a stem: file systems allow 255, and temporary names are longer


class ReadableFile(Protocol):
    """An object whose ``read(size)`` returns bytes, none at the end."""

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes."""
        ...


class SpooledInput(ABC):
    """An input that is copied when first needed; the copy lasts as long as the object, or to ``close``."""

    def __init__(self, label: str, name: str) -> None:
        self.label: str = label  # identifies it in messages and written files
        self.name: str = _file_name(name)  # of the file, without folders
        # called with the bytes copied so far, and the total where it is known
        self.on_bytes: OnBytes = lambda done, total: None
        self._remove: Callable[[], object] = lambda: None

    def __str__(self) -> str:
        return self.label

    @property
    def stem(self) -> str:
        """The file name without its suffix."""
        return Path(self.name).stem

    @cached_property
    def local(self) -> Path:
        """The copy, made by the first access; a MediaError if the source cannot be read."""
        folder = Path(tempfile.mkdtemp(prefix="save-avs-"))
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        try:
            self._copy(folder / self.name)
        except BaseException:
            self.close()
            raise
        return folder / self.name

    def close(self) -> None:
        """Remove the copy."""
        self._remove()

    def fingerprint(self) -> Mapping[str, Any]:
        """Identify the content: of the copy, size and hash."""
        found = file_fingerprint(self.local)
        return {"size": found["size"], "sha256": found["sha256"]}

    @contextmanager
    def naming(self) -> Iterator[Callable[[str], str]]:
        """Name the source instead of its copy in the block's errors, and in texts given to the result."""
        local = str(self.local)
        rename = lambda text: text.replace(local, self.label)  # noqa: E731
        try:
            yield rename
        except SaveAvsError as error:
            raise type(error)(rename(str(error))) from error

    @abstractmethod
    def _copy(self, target: Path) -> None: ...


class UrlInput(SpooledInput):
    """A file on a web server; a UsageError if the URL names no host, or a user."""

    def __init__(self, url: str) -> None:
        host, path = _split_url(url)
        super().__init__(url, PurePosixPath(unquote(path)).name or host)
        self._url = url
        self._origin: FileOrigin | None = None

    def fingerprint(self) -> Mapping[str, Any]:
        """Identify the content: by the ETag or date and the size, else as any copy."""
        origin = self._origin
        if origin is None:
            try:
                origin = ask_origin(self._url, timeout=_RETRY.timeout)
            except SaveAvsError:  # servers may refuse HEAD, as signed URLs of object stores do
                _ = self.local
                origin = self._origin
        if origin is None or origin.validator is None:
            return super().fingerprint()
        return {"url": self._url, "validator": origin.validator, "size": origin.total}

    def _copy(self, target: Path) -> None:
        try:
            self._origin = download(self._url, target, on_bytes=self.on_bytes, retry=_RETRY)
        except SaveAvsError as error:
            raise MediaError(str(error)) from error


class StreamInput(SpooledInput):
    """A file object, read from where it is."""

    def __init__(self, file: ReadableFile, label: str, name: str) -> None:
        super().__init__(label, name)
        self._file = file

    def _copy(self, target: Path) -> None:
        done = 0
        with target.open("wb") as copy:
            while data := self._read():
                copy.write(data)
                done += len(data)
                self.on_bytes(done, None)
        if not done:
            raise MediaError(f"{self.label}: empty, nothing was read from it")

    def _read(self) -> bytes:
        try:
            data = self._file.read(_CHUNK)
        except ValueError as error:  # it is closed, open for writing, or decodes text
            raise UsageError(f"{self.label}: cannot be read ({error}): open it with mode 'rb'") from error
        if not isinstance(data, bytes):
            raise UsageError(f"{self.label}: read as text: open it with mode 'rb'")
        return data


VideoInput = Path | SpooledInput


def open_input(source: str | os.PathLike[str] | ReadableFile | SpooledInput) -> VideoInput:
    """Return what can be segmented: a path, or the input of a URL or a file object; nothing is read.

    Raises:
        UsageError: a URL that cannot be fetched.
    """
    if isinstance(source, SpooledInput):
        return source
    if isinstance(source, str) and re.match(r"https?://", source, re.IGNORECASE):
        return UrlInput(source)
    if isinstance(source, str | os.PathLike):
        return Path(source)
    name = getattr(source, "name", None)
    name = name if isinstance(name, str) and name else "video"
    return StreamInput(source, name, Path(name).name)


def open_stdin() -> StreamInput:
    """Return the input of this program's stdin; a UsageError if nothing is piped into it."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("stdin is a terminal: pipe a video into it, or name a file instead of '-'")
    return StreamInput(sys.stdin.buffer, "stdin", "stdin")


def input_text(source: VideoInput) -> str:
    """Return the text that identifies an input in summaries and failure logs: absolute, of a path."""
    return resolved_path_text(source) if isinstance(source, Path) else source.label


def input_fingerprint(source: VideoInput, settings: SegmentationSettings) -> dict[str, Any]:
    """Identify the content of an input, and of the file of its sound where that is another.

    Raises:
        OSError: a file cannot be read.
        MediaError: a URL or a stream cannot be read.
    """
    is_file = isinstance(source, Path)
    sound = settings.audio or (find_sound(source) if is_file and source.is_dir() else None)
    audio = {"audio": file_fingerprint(Path(sound))} if sound else {}
    return {**(file_fingerprint(source) if is_file else source.fingerprint()), **audio}


def _split_url(url: str) -> tuple[str, str]:
    """Return host and path of a URL that can be fetched."""
    with suppress(ValueError):
        parts = urlsplit(url)
        plain = url.isascii() and url.isprintable() and " " not in url
        if plain and parts.hostname and parts.port != 0 and parts.username is None:
            return parts.hostname, parts.path
    raise UsageError(f"{url}: not a URL that can be fetched: give https://HOST/PATH, percent-encoded")


def _file_name(text: str) -> str:
    """Turn text from elsewhere into a file name that every system takes."""
    name = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]', "_", text).strip(". ")
    stem, suffix = Path(name or "video").stem, Path(name or "video").suffix
    return stem.encode()[:_MAX_NAME].decode(errors="ignore") + suffix[:10]
