"""Download of a video from a URL that a client names, limited to allowed hosts and public addresses."""

import ipaddress
import socket
import ssl
import time as clock
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpcore

from save_avs.errors import UsageError
from save_avs.serving.job import JobFailedError

_IDLE_TIMEOUT = 20.0  # seconds without a byte
_PORTS = {"http": 80, "https": 443}


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


def check_url(url: str, hosts: tuple[str, ...]) -> httpcore.URL:
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
    if parts.username is not None or " " in url or not (url.isascii() and url.isprintable()):
        raise UsageError("Invalid URL: it must be percent-encoded, and have no user name.")
    name = parts.hostname.lower().rstrip(".")
    listed = f"{name}:{port}" if port not in (None, _PORTS[parts.scheme]) else name
    if listed not in hosts:
        raise UsageError(f"Videos cannot be fetched from {listed}: it is not on this server's list.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return httpcore.URL(scheme=parts.scheme, host=name, port=port or _PORTS[parts.scheme], target=target)


def fetch(url: str, to: Path, *, hosts: tuple[str, ...], size: int, time: float) -> None:
    """Download a video; redirects are not followed, host names with private addresses are refused.

    An IP address among ``hosts`` may be private, what a name resolves to may not. At most ``size`` bytes are
    written, for at most ``time`` seconds.

    Raises:
        UsageError: the URL may not be fetched.
        JobFailedError: the video is too large or slow, or cannot be read.
    """
    link, end = check_url(url, hosts), clock.monotonic() + time
    host, headers = link.host.decode(), [("User-Agent", "save-avs"), ("Accept-Encoding", "identity")]
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), _IDLE_TIMEOUT)
    network, context = _CheckedNetwork(), ssl.create_default_context()
    try:
        with (
            httpcore.ConnectionPool(ssl_context=context, network_backend=network) as pool,
            pool.stream("GET", link, headers=headers, extensions={"timeout": timeouts}) as response,
            to.open("wb") as file,
        ):
            if response.status != 200:
                text = f"{host} answered with status {response.status}, not with a video."
                raise JobFailedError("not_fetched", text)
            for chunk in response.iter_stream():
                if file.tell() + len(chunk) > size:
                    text = f"The video is larger than this server's limit of {size / 1e6:g} MB."
                    raise JobFailedError("too_large", text)
                if clock.monotonic() > end:
                    raise JobFailedError("not_fetched", "The video arrived too slowly.")
                file.write(chunk)
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise JobFailedError("not_fetched", f"{host}: {error or type(error).__name__}") from error


class _CheckedNetwork(httpcore.SyncBackend):
    """Connects to the very address that was checked: a second lookup could give another."""

    def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return super().connect_tcp(_resolve(host), port, *args, **options)


def _resolve(host: str) -> str:
    """Return an address of a host.

    Raises:
        UsageError: a name with a private address.
        JobFailedError: a name without address.
    """
    try:
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise JobFailedError("not_fetched", f"{host}: {error}") from error
    addresses = [ipaddress.ip_address(str(entry[4][0])) for entry in entries]
    public = all(address.is_global and not address.is_multicast for address in addresses)
    if not public and host not in map(str, addresses):  # an IP address on the list may be private
        raise UsageError(f"{host} resolves to a private address.")
    return str(addresses[0])
