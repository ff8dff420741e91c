"""An HTTP server on this machine that misbehaves on demand, one behavior a request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler"], None]


@dataclass
class FileServer:
    """One file under every path; ``script`` says how the next requests are answered, then ``usual`` does."""

    content: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    script: list[Answer] = field(default_factory=list)
    usual: Answer | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # more of a good answer's
    stop: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    """Answers by the script of its server."""

    files: FileServer

    def do_GET(self) -> None:
        self.files.requests.append(dict(self.headers))
        self.files.paths.append(self.path)
        answer = self.files.script.pop(0) if self.files.script else self.files.usual or well
        with suppress(ConnectionError):  # the other side may hang up
            answer(self)

    do_HEAD = do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass

    def start(self) -> bytes:
        """Send the headers of a good answer; returns the bytes that belong after them."""
        files, wanted = self.files, self.headers.get("Range", "")
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        same = self.headers.get("If-Range") in (None, files.etag)
        if begin and files.ranges and same and begin >= len(files.content):
            self.send_error(416)
            return b""
        partial = bool(begin and files.ranges and same)
        body = files.content[begin:] if partial else files.content
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {begin}-{len(files.content) - 1}/{len(files.content)}")
        if files.etag:
            self.send_header("ETag", files.etag)
        for name, value in files.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return b"" if self.command == "HEAD" else body


def well(handler: Handler) -> None:
    handler.wfile.write(handler.start())


def cut(share: float) -> Answer:
    """Close the connection after a share of what was promised."""

    def answer(handler: Handler) -> None:
        body = handler.start()
        handler.wfile.write(body[: int(share * len(body))])

    return answer


def stall(handler: Handler) -> None:
    """Send half, then nothing for as long as the test runs."""
    body = handler.start()
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()
    handler.files.stop.wait(20)


def drip(handler: Handler) -> None:
    """Send a byte now and then for as long as the test runs: never done, and never idle."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(10**6))
    handler.end_headers()
    while not handler.files.stop.wait(0.2):
        handler.wfile.write(b"x")


def says(length: int) -> Answer:
    """Announce another length than the body's."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(handler.files.content)

    return answer


def without_length(handler: Handler) -> None:
    """Say no length: the end of the connection is the end of the file."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(handler.files.content)


def wrong_range(handler: Handler) -> None:
    """Answer a range with as many bytes as are missing, but from the beginning."""
    content = handler.files.content
    begin = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
    body = content[: len(content) - begin]
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes 0-{len(body) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def status(code: int) -> Answer:
    return lambda handler: handler.send_error(code)


def redirect(to: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def changing(content: bytes, etag: str, then: Answer = well) -> Answer:
    """From now on the server has another file."""

    def answer(handler: Handler) -> None:
        handler.files.content, handler.files.etag = content, etag
        then(handler)

    return answer


@contextmanager
def serving(content: bytes) -> Iterator[FileServer]:
    files = FileServer(content)
    handler = type("Bound", (Handler,), {"files": files})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    files.url = f"http://127.0.0.1:{server.server_address[1]}/weights.pth"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield files
    finally:
        files.stop.set()
        server.shutdown()
        server.server_close()
