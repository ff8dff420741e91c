"""Fetching a video from an address that a stranger named, without becoming the stranger's tool."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time as clock
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from save_avs.errors import UsageError
from save_avs.serving.worker import LimitError

_CHUNK = 1 << 16
_PATIENCE = 20.0  # seconds without a byte
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Link:
    """An address that may be fetched: ``target`` is the path with its query."""

    scheme: str
    host: str
    port: int
    target: str


def parse_allowed_host(text: str) -> str:
    """A host as the list of `check_url` has it.

    Raises:
        UsageError: what was given is no ``name`` or ``name:port``.
    """
    host = text.lower()
    parts = urlsplit(f"//{host}")
    try:
        whole = parts.netloc == host and parts.hostname and parts.username is None and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise UsageError(f"'{text}' is no host to fetch from: write example.org or example.org:8000")
    return host


def check_url(url: str, hosts: tuple[str, ...]) -> Link:
    """Take an address apart, when its host is on the list: ``name`` (usual ports) or ``name:port``.

    Raises:
        UsageError: it may not be fetched.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("the address is not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UsageError("the address must begin with http:// or https://")
    if parts.username is not None or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise UsageError("the address may not hold a user's name or blanks")
    name = parts.hostname.lower().rstrip(".")
    listed = f"{name}:{port}" if port not in (None, _PORTS[parts.scheme]) else name
    if listed not in hosts:
        raise UsageError(f"videos are not fetched from {listed}: it is not on this server's list")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Link(parts.scheme, name, port or _PORTS[parts.scheme], target)


def fetch(url: str, to: Path, *, hosts: tuple[str, ...], size: int, time: float) -> None:
    """Download a video. Redirects are not followed, and names that lead into private networks not looked up.

    Args:
        url: its address.
        to: the file.
        hosts: that may be asked; an address on the list may be private, what a name resolves to may not.
        size: at most so many bytes.
        time: at most so many seconds.

    Raises:
        UsageError: the address may not be fetched.
        LimitError: what lies there is too large, slow, or not to be had.
    """
    link, end = check_url(url, hosts), clock.monotonic() + time
    connection = _connect(link)
    try:
        connection.request(
            "GET", link.target, headers={"User-Agent": "save-avs", "Accept-Encoding": "identity"}
        )
        answer = connection.getresponse()
        if answer.status != 200:
            raise LimitError("not_fetched", f"{link.host} answered {answer.status}, not 200 with a video")
        _copy(answer, to, size, end)
    except (OSError, http.client.HTTPException) as error:
        raise LimitError("not_fetched", f"{link.host}: {error or type(error).__name__}") from error
    finally:
        connection.close()


def _copy(answer: http.client.HTTPResponse, to: Path, size: int, end: float) -> None:
    got = 0
    with to.open("wb") as file:
        while chunk := answer.read(_CHUNK):
            got += len(chunk)
            if got > size:
                raise LimitError(
                    "too_large", f"the video is larger than {size / 1e6:g} MB, this server's limit"
                )
            if clock.monotonic() > end:
                raise LimitError("not_fetched", "the video came too slowly")
            file.write(chunk)
    if answer.length:
        raise LimitError("not_fetched", "the connection ended before the video did")


def _connect(link: Link) -> http.client.HTTPConnection:
    """Open a connection to the very address that was checked: a second look-up could give another."""
    family, address = _resolve(link)
    plain = socket.socket(family, socket.SOCK_STREAM)
    try:
        plain.settimeout(_PATIENCE)
        plain.connect(address)
        connection = http.client.HTTPConnection(link.host, link.port)
        connection.sock = plain
        if link.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=link.host)
        return connection
    except OSError as error:
        plain.close()
        raise LimitError("not_fetched", f"{link.host}: {error}") from error


def _resolve(link: Link) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(link.host, link.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LimitError("not_fetched", f"{link.host}: {error}") from error
    addresses = [ipaddress.ip_address(str(entry[4][0])) for entry in found]
    public = all(address.is_global and not address.is_multicast for address in addresses)
    if not public and not _is_address(link.host):
        raise UsageError(f"{link.host} leads to a private address")
    family, _, _, _, address = found[0]
    return family, (str(address[0]), link.port)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
