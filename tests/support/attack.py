"""Attacks on the service: ``python -m tests.support.attack`` prints a table.

A request is within the limits if its status is allowed, an error is JSON, the answer comes in time and shows
no foreign file, and no file is left behind.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from save_avs._text import markdown_table
from save_avs.serving.job import JobState
from tests.support.attack_requests import REAL, TOKEN, Attack, attacks
from tests.support.service import idle_service, journaled

CANARY = "canary-7f3a"  # in a file beside the data folder, and never in an answer
MAX_SECONDS, MAX_GROWTH = 30.0, 64e6  # per request; bytes of the process over all requests


@dataclass(frozen=True)
class Outcome:
    """What the service did, and what of it was beyond the limits; empty for nothing."""

    attack: Attack
    status: int
    seconds: float
    problem: str


def send(url: str, attack: Attack) -> tuple[int, bytes, float]:
    """Send a request; return status (0 for none), answer and seconds."""
    host, port = url.removeprefix("http://").split(":")
    started, answer = time.monotonic(), b""
    with socket.create_connection((host, int(port)), timeout=MAX_SECONDS) as link:
        try:
            link.sendall(attack.content)
            for _ in range(attack.repeated):
                link.sendall(
                    attack.content[-65547:] if b"chunked" in attack.content else attack.content[-65536:]
                )
        except OSError:
            pass  # the server has hung up; its answer may have arrived
        try:
            link.shutdown(socket.SHUT_WR) if attack.allowed >= {0} and not attack.repeated else None
            while piece := link.recv(65536):
                answer += piece
        except OSError:
            pass
    words = answer.split(b" ", 2)
    status = int(words[1]) if answer.startswith(b"HTTP/1.1 ") else 0
    return status, answer, time.monotonic() - started


def _problem(attack: Attack, status: int, answer: bytes, seconds: float) -> str:
    if status not in attack.allowed:
        return f"status {status}"
    if seconds > MAX_SECONDS:
        return f"{seconds:.1f} s"
    if CANARY.encode() in answer or b"root:x:0" in answer:
        return "a file outside the service"
    head, _, body = answer.partition(b"\r\n\r\n")
    if length := re.search(rb"content-length: (\d+)", head, re.IGNORECASE):
        body = body[: int(length[1])]
    if status >= 400 and body and b"text/html" not in answer:
        try:
            error = json.loads(body)["error"]
            assert error.keys() == {"code", "message"} and all(error.values())
        except (ValueError, LookupError, TypeError, AssertionError):
            return f"status {status} with another body: {body[:60]!r}"
    return ""


def resident() -> int:
    """Bytes that this process has in memory."""
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


def files(root: Path) -> dict[str, int]:
    """Every file of a folder and its size; those that vanish meanwhile are left out."""
    found = {}
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            with suppress(FileNotFoundError):
                found[str(path.relative_to(root))] = path.stat().st_size
    return found


def touched_files(root: Path, before: dict[str, int], patience: float = 20.0) -> list[tuple[str, int]]:
    """What differs from before, once what the service is still removing is gone."""
    end = time.monotonic() + patience
    while (touched := files(root).items() ^ before.items()) and time.monotonic() < end:
        time.sleep(0.01)
    return sorted(touched)


def run(root: Path, chosen: Iterable[Attack]) -> tuple[list[Outcome], int]:
    """Send requests one by one to a service; return the outcomes, and by how many bytes the process grew."""
    (root / "canary").write_text(CANARY)
    job = journaled(root / "data", state=JobState.DONE, ended=time.time())
    with idle_service(root / "data", token=TOKEN, page=True, prompt_model="sam-vit-b", size=2_000_000) as own:
        before, memory, outcomes = files(root), resident(), []
        for attack in chosen:
            content = attack.content.replace(REAL.encode(), job.id.encode())
            status, answer, seconds = send(own.url, replace(attack, content=content))
            problem = _problem(attack, status, answer, seconds)
            if not problem and (touched := touched_files(root, before)):
                problem = f"files: {touched[:3]}"
            outcomes.append(Outcome(attack, status, seconds, problem))
        return outcomes, resident() - memory


def table(outcomes: Sequence[Outcome]) -> str:
    """A row per kind of attack."""
    rows = []
    for kind, found in groupby(outcomes, key=lambda outcome: outcome.attack.kind):
        group = list(found)
        statuses = ", ".join(str(status or "hung up") for status in sorted({one.status for one in group}))
        outside = sum(bool(one.problem) for one in group)
        rows.append(
            [kind, str(len(group)), str(outside), statuses, f"{max(one.seconds for one in group):.2f} s"]
        )
    return markdown_table(["requests", "sent", "outside", "statuses", "slowest"], rows)


def main() -> int:
    """Send all, print the table; 1 when anything was outside the limits."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes, grown = run(Path(folder), attacks())
    print(table(outcomes))
    outside = [one for one in outcomes if one.problem]
    for one in outside:
        print(f"{one.attack.kind}, {one.attack.name}: {one.problem}")
    print(f"{len(outcomes)} requests, {len(outside)} outside the limits, {grown / 1e6:.0f} MB more memory")
    return int(bool(outside) or grown > MAX_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
