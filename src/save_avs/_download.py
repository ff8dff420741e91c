"""Resumable downloads over HTTP, continued within a run or in the next one."""

import http.client
import json
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from save_avs._files import atomic_write
from save_avs.errors import DataError, SaveAvsError

_CHUNK = 2**18  # bytes read at a time
_PROGRESS = 2**20  # an attempt that brought fewer bytes counts as one without progress
_RETRIED = (408, 425, 429, 500, 502, 503, 504)
_MEANINGS = {401: "requires authentication", 403: "access denied", 404: "not found", 410: "gone"}

_HEADERS = {"User-Agent": "save-avs", "Accept-Encoding": "identity"}

OnBytes = Callable[[int, int | None], None]


class RetryPolicy(NamedTuple):
    """Patience with a server."""

    timeout: float = 30.0  # seconds without a byte before a connection counts as stalled
    attempts: int = 5  # failures in a row, without a MiB between them, before the download fails
    backoff: float = 1.0  # seconds before the second attempt; doubled before each further one


DEFAULT_RETRY = RetryPolicy()


@dataclass(frozen=True)
class FileOrigin:
    """What identifies a file on a server: a partial one is continued only with the same file."""

    url: str  # where it is
    validator: str | None  # its ETag, else the date of its last change; None where the server gives neither
    total: int | None  # its bytes; None where the server does not say


class _InterruptedError(Exception):
    """The connection failed; another attempt may continue from there."""


class _RangeError(_InterruptedError):
    """The server has no bytes in the requested range, which begins behind the end of its file."""


def download(
    url: str,
    part: Path,
    *,
    size: int | None = None,
    on_bytes: OnBytes = lambda done, total: None,
    retry: RetryPolicy = DEFAULT_RETRY,
    hint: str = "",
) -> FileOrigin:
    """Download a file to ``part``, continuing what is there if the server still has the same file.

    A partial file is continued with a Range request whose If-Range holds the ETag (or the date) that it was
    started with; a server that has another file by now, or ignores ranges, sends the complete one.

    Args:
        url: http or https; a redirect from https to http is refused.
        part: the file to fill; what it was started from is kept in ``<part>.json``.
        size: bytes it must have, where known: a server that announces another size is refused at once.
        on_bytes: receives the bytes that are there, and the total (None where the server does not state it).
        retry: patience with stalls, cuts and errors of the server.
        hint: what to do when the server has failed too often, for the message.

    Returns:
        What identifies the file.

    Raises:
        DataError: when the server has a file of another size.
        SaveAvsError: when the server cannot be reached, has no such file, or fails too often, or the disk
            has no space for the size that it announces. The bytes received stay in ``part``.
    """
    failures, backoff = 0, retry.backoff
    while True:
        before = _length(part)
        try:
            return _attempt(url, part, size=size, on_bytes=on_bytes, timeout=retry.timeout)
        except _InterruptedError as error:
            progressed = _length(part) - before >= _PROGRESS
            failures, backoff = (1, retry.backoff) if progressed else (failures + 1, backoff)
            if failures >= retry.attempts:
                raise SaveAvsError(f"{url}: {error}, after {failures} attempts{hint}") from error
        time.sleep(backoff)
        backoff *= 2


def ask_origin(url: str, *, timeout: float = DEFAULT_RETRY.timeout) -> FileOrigin:
    """Ask a server what identifies a file, without its content.

    Raises:
        SaveAvsError: when the server cannot be reached, or does not answer for this file.
    """
    request = urllib.request.Request(url, headers=_HEADERS, method="HEAD")
    try:
        with _response(request, timeout) as response:
            return FileOrigin(url, _validator(response.headers), _announced(response, 0, None)[0])
    except _InterruptedError as error:
        raise SaveAvsError(f"{url}: {error}") from error


def check_free_space(folder: Path, size: int) -> None:
    """Raise a SaveAvsError unless the disk of a folder has space for so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise SaveAvsError(f"{folder}: no space for {size:,} bytes, {free:,} are free: free some")


def discard_partial(part: Path) -> None:
    """Remove a partial file and its origin."""
    part.unlink(missing_ok=True)
    _origin_file(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, *, size: int | None, on_bytes: OnBytes, timeout: float) -> FileOrigin:
    origin = _read_origin(part, url)
    done = _length(part) if origin and origin.validator else 0
    if origin and done and done == origin.total:
        return origin
    headers = dict(_HEADERS)
    if origin and done:
        headers |= {"Range": f"bytes={done}-", "If-Range": str(origin.validator)}
    request = urllib.request.Request(url, headers=headers)
    try:
        with _response(request, timeout) as response:
            total, continues = _announced(response, done, origin)
            if size is not None and total is not None and total != size:
                discard_partial(part)
                raise DataError(f"{url}: the server has {total:,} bytes instead of {size:,}: another file")
            if not continues:
                part.write_bytes(b"")  # first, so that old bytes never belong to a new origin
            check_free_space(part.parent, (total or 0) - _length(part))
            origin = FileOrigin(url, _validator(response.headers), total)
            atomic_write(_origin_file(part), json.dumps(vars(origin)))
            _receive(response, part, total=total, on_bytes=on_bytes)
            return origin
    except _RangeError:
        discard_partial(part)
        raise


@contextmanager
def _response(request: urllib.request.Request, timeout: float) -> Iterator[Any]:
    """Open a request; failures that another attempt may not meet are ``_InterruptedError``."""
    url = request.full_url
    try:
        with urllib.request.build_opener(_SecureRedirects).open(request, timeout=timeout) as response:
            yield response
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            raise _RangeError("the server has a shorter file by now") from error
        if error.code in _RETRIED:
            raise _InterruptedError(f"the server answers {error.code} ({error.reason})") from error
        reason = "redirects in circles" if 300 <= error.code < 400 else error.reason
        raise SaveAvsError(f"{url}: {_MEANINGS.get(error.code, reason)} ({error.code})") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise SaveAvsError(f"{url}: invalid certificate: {error.reason.verify_message}") from error
        raise _InterruptedError(f"the server cannot be reached ({_reason(error.reason)})") from error
    except TimeoutError as error:
        raise _InterruptedError(f"the server sent nothing for {timeout:g} s") from error
    except (http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
        raise _InterruptedError(f"the connection was cut ({_reason(error)})") from error


def _announced(response: Any, done: int, origin: FileOrigin | None) -> tuple[int | None, bool]:
    """Return the complete file's size, if stated, and whether the response continues the partial file."""
    length = response.headers.get("Content-Length")
    length = int(length) if length and length.isdigit() else None
    if response.status != 206:
        return length, False
    span, _, complete = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    total = int(complete) if complete.isdigit() else None
    if span.split("-")[0] != str(done) or (origin and origin.total not in (None, total)):
        raise _InterruptedError("the server sent another range than requested")
    return total, True


def _receive(response: Any, part: Path, *, total: int | None, on_bytes: OnBytes) -> None:
    with part.open("ab") as file:
        done = _length(part)
        on_bytes(done, total)
        while chunk := response.read1(_CHUNK):  # what arrived before a stall is kept
            file.write(chunk)
            done += len(chunk)
            on_bytes(done, total)
    if total is not None and done != total:
        raise _InterruptedError(f"the connection was cut at {done:,} of {total:,} bytes")


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only, and from https to https only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        secure = req.full_url.startswith("https:")
        if not newurl.startswith("https:" if secure else ("http:", "https:")):
            fp.close()
            raise SaveAvsError(f"{req.full_url}: redirects to {newurl}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _validator(headers: Any) -> str | None:
    """Return what If-Range may hold: a strong ETag, else the date of the last change."""
    etag = headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")


def _origin_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_origin(part: Path, url: str) -> FileOrigin | None:
    """Return what the partial file was started from, if that was this URL."""
    try:
        origin = FileOrigin(**json.loads(_origin_file(part).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return origin if origin.url == url and part.exists() else None


def _length(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _reason(error: object) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
