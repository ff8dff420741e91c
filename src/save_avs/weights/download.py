"""Downloading a file over HTTP that goes on where it was cut, in this run or the next."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from save_avs._files import atomic_write
from save_avs.errors import DataError, SaveAvsError

_PIECE = 2**18  # bytes read at a time
_PROGRESS = 2**20  # a try that brought fewer bytes counts as one without progress
_WORTH_ANOTHER_TRY = (408, 425, 429, 500, 502, 503, 504)
_PLAIN = {401: "needs an account there", 403: "may not be read", 404: "not found", 410: "gone"}

OnBytes = Callable[[int, int | None], None]


class RetryPolicy(NamedTuple):
    """How long a download bears with a server.

    Attributes:
        timeout: seconds without a byte before a connection counts as stalled.
        attempts: failures in a row, without a MiB between them, before it is given up.
        backoff: seconds before the second try; doubled before each further one.
    """

    timeout: float = 30.0
    attempts: int = 5
    backoff: float = 1.0


DEFAULT_RETRY = RetryPolicy()


@dataclass(frozen=True)
class _Begun:
    """What is known of a file that lies there in part: to go on only with the same one."""

    url: str
    validator: str | None
    total: int | None


class _CutError(Exception):
    """The connection gave out; another try may go on from there."""


def download(
    url: str,
    part: Path,
    *,
    size: int | None = None,
    on_bytes: OnBytes = lambda done, total: None,
    retry: RetryPolicy = DEFAULT_RETRY,
) -> None:
    """Bring a file to ``part``, going on from what lies there already if the server still has that file.

    A partial file is continued with a Range request whose If-Range holds the ETag (or the date) it was begun
    with; a server that has another file by now, or ignores ranges, sends the whole one, and it begins anew.

    Args:
        url: http or https; a redirect from https to http is refused.
        part: the file to fill; what it was begun from is kept beside it, in ``<part>.json``.
        size: bytes it must have, where known: a server that announces another size is refused at once.
        on_bytes: hears how many bytes are there, and of how many (None where the server does not say).
        retry: with stalls, cuts and errors of the server.

    Raises:
        DataError: when the server has another file, in size, than is asked for.
        SaveAvsError: when the server cannot be reached, has no such file, or gives out too often. What came
            stays in ``part``.
    """
    failures, pause = 0, retry.backoff
    while True:
        before = _length(part)
        try:
            _attempt(url, part, size=size, on_bytes=on_bytes, timeout=retry.timeout)
            return
        except _CutError as cut:
            moved = _length(part) - before >= _PROGRESS
            failures, pause = (1, retry.backoff) if moved else (failures + 1, pause)
            if failures >= retry.attempts:
                raise SaveAvsError(
                    f"{url}: {cut}, {failures} times; what came is kept: try again later"
                ) from cut
        time.sleep(pause)
        pause *= 2


def discard_partial(part: Path) -> None:
    """Remove a partial file and what is known of it."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, *, size: int | None, on_bytes: OnBytes, timeout: float) -> None:
    begun = _begun(part, url)
    done = _length(part) if begun and begun.validator else 0
    if begun and done and done == begun.total:
        return
    headers = {"User-Agent": "save-avs", "Accept-Encoding": "identity"}
    if begun and done:
        headers |= {"Range": f"bytes={done}-", "If-Range": str(begun.validator)}
    try:
        with _open(urllib.request.Request(url, headers=headers), timeout) as response:
            total, goes_on = _announced(response, done, begun)
            if size is not None and total is not None and total != size:
                discard_partial(part)
                raise DataError(
                    f"{url}: the server has {total:,} bytes instead of {size:,}: not the file wanted"
                )
            if not goes_on:
                part.write_bytes(b"")  # before the note changes: old bytes never lie beside a new note
            _keep(part, _Begun(url, _validator(response.headers), total))
            _receive(response, part, total=total, on_bytes=on_bytes)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing at that place any more
            discard_partial(part)
            raise _CutError("the server has a shorter file by now") from error
        if error.code in _WORTH_ANOTHER_TRY:
            raise _CutError(f"the server answers {error.code} ({error.reason})") from error
        raise SaveAvsError(f"{url}: {_PLAIN.get(error.code, error.reason)} ({error.code})") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise SaveAvsError(
                f"{url}: its certificate is not valid: {error.reason.verify_message}"
            ) from error
        raise _CutError(f"the server cannot be reached ({_reason(error.reason)})") from error
    except TimeoutError as error:
        raise _CutError(f"the server sent nothing for {timeout:g} s") from error
    except (http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
        raise _CutError(f"the connection was cut ({_reason(error)})") from error


def _announced(response: Any, done: int, begun: _Begun | None) -> tuple[int | None, bool]:
    """The whole file's size, if told, and whether the response goes on from what is there."""
    length = response.headers.get("Content-Length")
    length = int(length) if length and length.isdigit() else None
    if response.status != 206:
        return length, False
    span, _, whole = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    total = int(whole) if whole.isdigit() else None
    if span.split("-")[0] != str(done) or (begun and begun.total not in (None, total)):
        raise _CutError("the server sent another range than was asked for")
    return total, True


def _receive(response: Any, part: Path, *, total: int | None, on_bytes: OnBytes) -> None:
    with part.open("ab") as file:
        done = _length(part)
        on_bytes(done, total)
        while piece := response.read1(_PIECE):  # what came before a stall is kept
            file.write(piece)
            done += len(piece)
            on_bytes(done, total)
    if total is not None and done != total:
        raise _CutError(f"the connection was cut at {done:,} of {total:,} bytes")


class _StaySecure(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only, and from https to https only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        secure = req.full_url.startswith("https:")
        if not newurl.startswith("https:" if secure else ("http:", "https:")):
            raise SaveAvsError(f"{req.full_url}: redirects to {newurl}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(request: urllib.request.Request, timeout: float) -> Any:
    return urllib.request.build_opener(_StaySecure).open(request, timeout=timeout)


def _validator(headers: Any) -> str | None:
    """What If-Range may hold: a strong ETag, else the date of the last change."""
    etag = headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _keep(part: Path, begun: _Begun) -> None:
    if not _note(part).exists() or _begun(part, begun.url) != begun:
        atomic_write(_note(part), json.dumps(vars(begun)))


def _begun(part: Path, url: str) -> _Begun | None:
    """What the partial file was begun from, if that was this address."""
    try:
        begun = _Begun(**json.loads(_note(part).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return begun if begun.url == url and part.exists() else None


def _length(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _reason(error: object) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
