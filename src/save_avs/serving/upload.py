"""A form with a video, taken apart while it arrives: the video goes straight to disk, up to its limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from save_avs.errors import SaveAvsError
from save_avs.serving.job_store import safe_name

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE = "file"  # the part that holds the video
_FIELDS, _FIELD_BYTES = 32, 4096
_PATIENCE = 2.0  # seconds
_OVERHEAD = 1 << 20  # bytes of a form beside its video


class NotAFormError(SaveAvsError):
    """The request is something else than a form."""


class FormError(SaveAvsError):
    """A form that cannot be read."""


class UploadTooLargeError(SaveAvsError):
    """The video is larger than the limit."""


class UploadTimeoutError(SaveAvsError):
    """The form takes too long to arrive."""


@dataclass
class Form:
    """What a form held.

    Attributes:
        video: the name of the video in its folder; None without one.
        size: bytes of the video.
        fields: the texts of each other part; one name may come repeatedly.
    """

    video: str | None = None
    size: int = 0
    fields: dict[str, list[str]] = field(default_factory=dict)


async def read_form(
    chunks: AsyncIterator[bytes], content_type: str, folder: Path, *, size: int, seconds: float
) -> Form:
    """Read a multipart form; its video lies in ``folder`` afterwards, under its safe name.

    Args:
        chunks: of the request's body.
        content_type: of the request.
        folder: for the video.
        size: at most so many bytes of video.
        seconds: for all of it.

    Raises:
        NoFormError, FormError: it is none, or cannot be read.
        TooLargeError, SlowError: it is too large, or too slow.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise NotAFormError(f"send a form (multipart/form-data) with the video in its part '{FILE}'")
    reader = _Reader(folder, size)
    try:
        parser = MultipartParser(options[b"boundary"], reader.callbacks())
        received = 0
        async with asyncio.timeout(seconds):
            async for chunk in chunks:
                received += len(chunk)
                if received > size + _OVERHEAD:
                    raise _too_large(size)
                parser.write(chunk)
        parser.finalize()
    except MultipartParseError as error:
        raise FormError(f"the form cannot be read: {error}") from error
    except UploadTooLargeError:
        await _drain(chunks)
        raise
    except TimeoutError:
        raise UploadTimeoutError(f"the form did not arrive within {seconds:g} s") from None
    finally:
        reader.close()
    if not reader.complete:
        raise FormError("the form ends before its last part does")
    return reader.form


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Let a sender go on for a moment, in vain: one that is cut off at once would not read why."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            async for _ in chunks:
                pass


class _Reader:
    """Takes the parser's calls, part by part."""

    def __init__(self, folder: Path, size: int) -> None:
        self.form = Form()
        self.complete = False
        self._folder, self._size = folder, size
        self._file: IO[bytes] | None = None
        self._count = 0
        self._begin()

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls, by its names."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._key.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def close(self) -> None:
        """Close the video, whether or not it is whole."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._key, self._value, self._text = bytearray(), bytearray(), bytearray()
        self._name: str | None = None
        self._sent_as: str | None = None

    def _header(self) -> None:
        if self._key.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
            if b"filename" in options:
                self._sent_as = options[b"filename"].decode("utf-8", "replace")
        self._key, self._value = bytearray(), bytearray()

    def _open(self) -> None:
        self._count += 1
        if not self._name:
            raise FormError("a part of the form has no name")
        if self._count > _FIELDS:
            raise FormError(f"the form has more than {_FIELDS} parts")
        if self._name == FILE:
            if self.form.video is not None:
                raise FormError("the form holds more than one video; send each in a form of its own")
            self.form.video = safe_name(self._sent_as or "")
            self._file = (self._folder / self.form.video).open("wb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self.form.size += end - start
            if self.form.size > self._size:
                raise _too_large(self._size)
            self._file.write(data[start:end])
        else:
            self._text.extend(data[start:end])
            if len(self._text) > _FIELD_BYTES:
                raise FormError(f"the part '{self._name}' is longer than {_FIELD_BYTES} bytes")

    def _end(self) -> None:
        if self._file is not None:
            self.close()
            return
        try:
            text = self._text.decode("utf-8")
        except UnicodeDecodeError:
            raise FormError(f"the part '{self._name}' is not UTF-8") from None
        self.form.fields.setdefault(str(self._name), []).append(text)

    def _finish(self) -> None:
        self.complete = True


def _too_large(size: int) -> UploadTooLargeError:
    return UploadTooLargeError(f"the video is larger than {size / 1e6:g} MB, this server's limit")
