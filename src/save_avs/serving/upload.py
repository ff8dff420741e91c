"""Streaming reader of an upload form: its files go straight to disk, up to their limit."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from save_avs.serving.errors import ServiceError
from save_avs.serving.job_files import FRAMES, frame_name, safe_name

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE, AUDIO = "file", "audio"  # the parts that hold a video, or, with ``FRAMES``, the sound of images
MAX_FRAMES = 5000
_MAX_FIELDS, _MAX_FIELD_BYTES = 32, 4096
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046
_DRAIN_SECONDS = 2.0
_OVERHEAD = 1 << 22  # bytes of a form in addition to its files: headers of all frames


@dataclass
class UploadForm:
    """The content of a form."""

    name: str = ""  # safe file name of the video, or of the sound; empty without either
    files: Counter[str] = field(default_factory=Counter)  # how many files each part has
    size: int = 0  # bytes of all files
    # values of each other part; a name may occur repeatedly
    fields: dict[str, list[str]] = field(default_factory=dict)


async def read_form(
    chunks: AsyncIterator[bytes], content_type: str, folder: Path, *, size: int, seconds: float
) -> UploadForm:
    """Read a multipart form, and write its files to ``folder`` under safe names, images to ``FRAMES`` in it.

    The files may have ``size`` bytes together, the whole form take ``seconds``.

    Raises:
        ServiceError: it is no form, cannot be parsed, is too large, or too slow.
        OSError: a file cannot be written.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise ServiceError("no_form", f"Send multipart/form-data with the video in the part '{FILE}'.")
    boundary = options.get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise ServiceError("bad_form", "The form's boundary is missing or malformed.")
    reader = _Reader(folder, size)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        received = 0
        async with asyncio.timeout(seconds):
            async for chunk in chunks:
                received += len(chunk)
                if received > size + _OVERHEAD:
                    raise _too_large(size)
                parser.write(chunk)
        parser.finalize()
    except MultipartParseError as error:
        raise ServiceError("bad_form", f"The form cannot be parsed: {error}.") from error
    except ServiceError as error:
        if error.code == "too_large":
            await _drain(chunks)
        raise
    except TimeoutError:
        raise ServiceError("too_slow", f"The form did not arrive within {seconds:g} s.") from None
    except OSError:
        await _drain(chunks)
        raise
    finally:
        reader.close()
    if not reader.complete:
        raise ServiceError("bad_form", "The form ends before its last part is complete.")
    return reader.form


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read on for a moment: a client that is cut off at once would not read the answer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in chunks:
                pass


class _Reader:
    """Callbacks of the multipart parser."""

    def __init__(self, folder: Path, size: int) -> None:
        self.form = UploadForm()
        self.complete = False
        self._folder, self._size = folder, size
        self._file: IO[bytes] | None = None
        self._begin_part()

    def callbacks(self) -> MultipartCallbacks:
        """The callbacks by the parser's names."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._key.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._begin_body,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_end": self._finish,
        }

    def close(self) -> None:
        """Close the current file, complete or not."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin_part(self) -> None:
        self._key, self._value, self._text = bytearray(), bytearray(), bytearray()
        self._name: str | None = None
        self._filename: str | None = None

    def _header(self) -> None:
        if self._key.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
            if b"filename" in options:
                self._filename = options[b"filename"].decode("utf-8", "replace")
        self._key, self._value = bytearray(), bytearray()

    def _begin_body(self) -> None:
        if not self._name:
            raise ServiceError("bad_form", "A part of the form has no name.")
        if self._name in (FILE, AUDIO, FRAMES):
            self._file = self._open(self._name).open("wb")
        elif sum(map(len, self.form.fields.values())) == _MAX_FIELDS:
            raise ServiceError("bad_form", f"The form has more than {_MAX_FIELDS} fields.")

    def _open(self, part: str) -> Path:
        """Return the path of the file that a part begins."""
        count, limit = self.form.files[part], MAX_FRAMES if part == FRAMES else 1
        if count == limit:
            raise ServiceError("bad_form", f"The form has more than {limit} part(s) '{part}': send fewer.")
        self.form.files[part] += 1
        if part == FRAMES:
            (self._folder / FRAMES).mkdir(exist_ok=True)
            return self._folder / FRAMES / frame_name(count, self._filename or "")
        self.form.name = safe_name(self._filename or "")
        return self._folder / self.form.name

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self.form.size += end - start
            if self.form.size > self._size:
                raise _too_large(self._size)
            self._file.write(data[start:end])
        else:
            self._text.extend(data[start:end])
            if len(self._text) > _MAX_FIELD_BYTES:
                raise ServiceError(
                    "bad_form", f"The part '{self._name}' is longer than {_MAX_FIELD_BYTES} bytes."
                )

    def _end_part(self) -> None:
        if self._file is not None:
            self.close()
            return
        try:
            text = self._text.decode("utf-8")
        except UnicodeDecodeError:
            raise ServiceError("bad_form", f"The part '{self._name}' is not UTF-8.") from None
        self.form.fields.setdefault(str(self._name), []).append(text)

    def _finish(self) -> None:
        self.complete = True


def _too_large(size: int) -> ServiceError:
    return ServiceError("too_large", f"The upload is larger than this server's limit of {size / 1e6:g} MB.")
