"""Download of a video from a URL that a client names, limited to allowed hosts and public addresses."""

import http.client
import ipaddress
import socket
import ssl
import time as clock
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from save_avs.errors import UsageError
from save_avs.serving.job import JobFailedError

_CHUNK = 1 << 16
_IDLE_TIMEOUT = 20.0  # seconds without a byte
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class VideoUrl:
    """A URL that may be fetched: ``target`` is the path with its query."""

    scheme: str
    host: str
    port: int
    target: str


def parse_allowed_host(text: str) -> str:
    """Check a host of ``check_url``'s list, ``name`` or ``name:port``; a UsageError if it is neither."""
    host = text.lower()
    parts = urlsplit(f"//{host}")
    try:
        valid = parts.netloc == host and parts.hostname and parts.username is None and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(f"Invalid host '{text}': expected NAME or NAME:PORT, such as example.org:8000.")
    return host


def check_url(url: str, hosts: tuple[str, ...]) -> VideoUrl:
    """Parse a URL whose host is on the list: ``name`` (default ports) or ``name:port``.

    Raises:
        UsageError: it may not be fetched.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("Invalid URL.") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UsageError("Invalid URL: it must start with http:// or https://.")
    if parts.username is not None or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise UsageError("Invalid URL: user names and spaces are not allowed.")
    name = parts.hostname.lower().rstrip(".")
    listed = f"{name}:{port}" if port not in (None, _PORTS[parts.scheme]) else name
    if listed not in hosts:
        raise UsageError(f"Videos cannot be fetched from {listed}: it is not on this server's list.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return VideoUrl(parts.scheme, name, port or _PORTS[parts.scheme], target)


def fetch(url: str, to: Path, *, hosts: tuple[str, ...], size: int, time: float) -> None:
    """Download a video; redirects are not followed, host names with private addresses are refused.

    An IP address among ``hosts`` may be private, what a name resolves to may not. At most ``size`` bytes are
    read, for at most ``time`` seconds.

    Raises:
        UsageError: the URL may not be fetched.
        JobFailedError: the video is too large or slow, or cannot be read.
    """
    link, end = check_url(url, hosts), clock.monotonic() + time
    connection = _connect(link)
    try:
        connection.request(
            "GET", link.target, headers={"User-Agent": "save-avs", "Accept-Encoding": "identity"}
        )
        with connection.getresponse() as response:
            if response.status != 200:
                text = f"{link.host} answered with status {response.status}, not with a video."
                raise JobFailedError("not_fetched", text)
            _copy(response, to, size, end)
    except (OSError, http.client.HTTPException) as error:
        raise JobFailedError("not_fetched", f"{link.host}: {error or type(error).__name__}") from error
    finally:
        connection.close()


def _copy(response: http.client.HTTPResponse, to: Path, size: int, end: float) -> None:
    received = 0
    with to.open("wb") as file:
        while chunk := response.read(_CHUNK):
            received += len(chunk)
            if received > size:
                raise JobFailedError(
                    "too_large", f"The video is larger than this server's limit of {size / 1e6:g} MB."
                )
            if clock.monotonic() > end:
                raise JobFailedError("not_fetched", "The video arrived too slowly.")
            file.write(chunk)
    if response.length:
        raise JobFailedError("not_fetched", "The connection was closed before the end of the video.")


def _connect(link: VideoUrl) -> http.client.HTTPConnection:
    """Connect to the very address that was checked: a second lookup could give another."""
    family, address = _resolve(link)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(_IDLE_TIMEOUT)
        sock.connect(address)
        connection = http.client.HTTPConnection(link.host, link.port)
        connection.sock = sock
        if link.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(sock, server_hostname=link.host)
        return connection
    except OSError as error:
        sock.close()
        raise JobFailedError("not_fetched", f"{link.host}: {error}") from error


def _resolve(link: VideoUrl) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        entries = socket.getaddrinfo(link.host, link.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise JobFailedError("not_fetched", f"{link.host}: {error}") from error
    addresses = [ipaddress.ip_address(str(entry[4][0])) for entry in entries]
    public = all(address.is_global and not address.is_multicast for address in addresses)
    if not public and link.host not in map(str, addresses):  # an IP address on the list may be private
        raise UsageError(f"{link.host} resolves to a private address.")
    family, _, _, _, address = entries[0]
    return family, (str(address[0]), link.port)
