"""Two servers on one PostgreSQL database behind deploy/Caddyfile with TLS: one is killed, and no job is lost.

    python -m scripts.check_proxy

Needs root, Debian's packages caddy and postgresql, and the ports 80, 443 and 7860.
"""

from __future__ import annotations

import os
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx

from save_avs._extras import models_folder
from tests.support.postgres import postgres

ROOT = Path(__file__).parents[1]
ADDRESSES = ("127.0.0.1", "127.0.0.2")  # of the name `save-avs`, in a private /etc/hosts
JOBS = 12


@contextmanager
def program(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is killed at the end."""
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def start_server(address: str, data: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is ready."""
    command = [
        sys.executable,
        "-m",
        "save_avs",
        "serve",
        "--host",
        address,
        "--data",
        str(data),
        "--json-logs",
    ]
    with program(command, environment) as server:
        wait_for_port(server, address, 7860)
        while httpx.get(f"http://{address}:7860/readyz", timeout=60).status_code != 200:
            time.sleep(0.2)
        yield server


def wait_for_port(process: subprocess.Popen[bytes], address: str, port: int) -> None:
    """Wait until a program listens."""
    while True:
        with suppress(OSError), socket.create_connection((address, port)):
            return
        assert process.poll() is None, f"{process.args}: ended"
        time.sleep(0.2)


@contextmanager
def start_proxy(folder: Path) -> Iterator[ssl.SSLContext]:
    """Caddy, and what trusts the authority it makes for localhost."""
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address} save-avs\n" for address in ADDRESSES))
    script = f"mount --bind {hosts} /etc/hosts && exec caddy run --config {ROOT}/deploy/Caddyfile"
    environment = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "caddy")}
    command = ["unshare", "--mount", "sh", "-c", script]
    with program(command, environment) as proxy:
        wait_for_port(proxy, "127.0.0.1", 443)
        while not (certificates := list(folder.rglob("caddy/**/root.crt"))):
            time.sleep(0.2)
        yield ssl.create_default_context(cafile=str(certificates[0]))


def check(client: httpx.Client, server: subprocess.Popen[bytes]) -> list[tuple[str, int]]:
    """Send videos, kill a server, and return state and attempts of each job."""
    video = (models_folder() / "sample.mp4").read_bytes()
    ids = []
    for _ in range(JOBS):
        answer = client.post("/v1/segment", files={"file": ("clip.mp4", video)}, data={"fps": "1"})
        ids.append(answer.raise_for_status().json()["id"])
    server.kill()
    server.wait()
    ends = []
    for id in ids:
        while (job := client.get(f"/v1/jobs/{id}").raise_for_status().json())["state"] in (
            "accepted",
            "running",
        ):
            time.sleep(0.2)
        ends.append((job["state"], job["attempts"]))
    return ends


def log_in(client: httpx.Client, token: str) -> httpx.Response:
    """Log in on the page, again as a user would: the proxy repeats no POST whose server is found dead."""
    end = time.monotonic() + 60
    while True:
        answer = client.post("/login", data={"token": token}, headers={"Origin": "https://localhost"})
        if answer.status_code != 502 or time.monotonic() > end:
            assert answer.status_code == 303, answer.status_code
            return answer
        time.sleep(0.5)


def main() -> int:
    """Run the check; 1 where a job is not done."""
    token = secrets.token_hex(24)
    with ExitStack() as stack:
        database, name = stack.enter_context(postgres()), stack.enter_context(tempfile.TemporaryDirectory())
        variables = {"SAVE_AVS_TOKEN": token, "SAVE_AVS_DATABASE": database.url, "FORWARDED_ALLOW_IPS": "*"}
        servers = [
            stack.enter_context(start_server(address, Path(name, "data"), os.environ | variables))
            for address in ADDRESSES
        ]
        trust = stack.enter_context(start_proxy(Path(name)))
        headers = {"Authorization": f"Bearer {token}"}
        client = httpx.Client(base_url="https://localhost", verify=trust, headers=headers, timeout=60)
        stack.enter_context(client)
        ends = check(client, servers[0])
        login = log_in(client, token)
    print(f"state and attempts of each job: {ends}")
    print(f"the cookie of the page: {login.headers['set-cookie'].partition(';')[2]}")
    return int(any(state != "done" for state, _ in ends) or "Secure" not in login.headers["set-cookie"])


if __name__ == "__main__":
    sys.exit(main())
