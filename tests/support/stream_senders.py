"""Live senders on localhost, made by ffmpeg: MPEG-TS over UDP or HTTP, and RTSP."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of which the next one is free too, as RTP wants it."""
    while True:
        with socket.socket(type=kind) as first, socket.socket(type=kind) as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port


@contextmanager
def ffmpeg(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ffmpeg while the block lasts."""
    process = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments], stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Rtsp:
    """A camera's RTSP service (RFC 2326) for one client: RTP of ffmpeg, interleaved into the connection."""

    def __init__(self, video: Path, folder: Path) -> None:
        self._ports = [free_port(socket.SOCK_DGRAM) for _ in range(2)]
        self._sdp = folder / "stream.sdp"
        self._video = video
        self._server = socket.create_server(("127.0.0.1", 0))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"rtsp://127.0.0.1:{self._server.getsockname()[1]}/camera"

    def __enter__(self) -> Rtsp:
        outputs = [
            option
            for stream, port in zip("va", self._ports, strict=True)
            for option in ("-map", f"0:{stream}", "-c", "copy", "-f", "rtp", f"rtp://127.0.0.1:{port}")
        ]
        self._sender = ["-re", "-stream_loop", "-1", "-i", str(self._video), *outputs]
        with ffmpeg("-t", "0.1", *self._sender, "-sdp_file", str(self._sdp)) as once:
            once.wait(10)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.close()
        self._thread.join(10)

    def _serve(self) -> None:
        with contextlib.suppress(OSError), self._server.accept()[0] as client:
            requests = client.makefile("rb")
            while (line := requests.readline()) and not self._stop.is_set():
                if line.startswith(b"$"):  # the client's own reports; none is that short that it is missed
                    continue
                method, target, _ = line.decode(errors="replace").split(" ", 2)
                fields = {}
                while field := requests.readline().decode().strip():
                    name, _, value = field.partition(": ")
                    fields[name.lower()] = value
                self._answer(client, method, target, fields)
                if method == "PLAY":
                    self._relay(client)
                    return

    def _answer(self, client: socket.socket, method: str, target: str, fields: dict[str, str]) -> None:
        body = ""
        head = [f"CSeq: {fields['cseq']}", "Session: 1"]
        if method == "OPTIONS":
            head.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            body = self._description()
            head += [
                f"Content-Base: {target}/",
                "Content-Type: application/sdp",
                f"Content-Length: {len(body)}",
            ]
        elif method == "SETUP":
            head.append(f"Transport: {fields['transport']}")
        client.sendall("\r\n".join(["RTSP/1.0 200 OK", *head, "", body]).encode())

    def _description(self) -> str:
        """ffmpeg's own SDP, with a name for each track to be set up by."""
        lines = []
        for line in self._sdp.read_text().splitlines():
            if line.startswith("m="):
                kind, _, rest = line.split(" ", 2)
                lines += [f"{kind} 0 {rest}", f"a=control:track{sum(x.startswith('m=') for x in lines)}"]
            elif not line.startswith("SDP:"):
                lines.append(line)
        return "\r\n".join(lines) + "\r\n"

    def _relay(self, client: socket.socket) -> None:
        """Packets of RTP and RTCP of both tracks, as channels 0 to 3 (RFC 2326, 10.12)."""
        with contextlib.ExitStack() as stack:
            sockets = []
            for port in (p + i for p in self._ports for i in range(2)):
                receiver = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                receiver.bind(("127.0.0.1", port))
                receiver.settimeout(0.01)
                sockets.append(receiver)
            stack.enter_context(ffmpeg(*self._sender))
            while not self._stop.is_set():
                for channel, receiver in enumerate(sockets):
                    with contextlib.suppress(TimeoutError):
                        packet = receiver.recv(1 << 16)
                        client.sendall(b"$" + bytes([channel]) + len(packet).to_bytes(2, "big") + packet)
