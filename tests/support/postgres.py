"""A PostgreSQL server of its own, from the binaries that Debian's package `postgresql` installs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SETTINGS = ("listen_addresses=", "fsync=off", "max_connections=60", "shared_buffers=16MB")


def binaries() -> Path | None:
    """The folder of the newest installed server, None without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def postgres() -> Iterator[str]:
    """A server in a temporary folder, reached through a socket in it; yields the URL of its database."""
    bin = binaries()
    assert bin is not None
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="pg-") as name:  # a short path, as sockets need
        folder = Path(name)
        if user:
            shutil.chown(folder, user.pw_uid, user.pw_gid)

        def call(program: str, *arguments: str) -> None:
            rights: dict[str, Any] = (
                {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
            )
            command = [bin / program, "-D", "data", *arguments]
            subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True, **rights)

        call("initdb", "-A", "trust", "-U", "save", "--no-sync", "--encoding=UTF8", "--locale=C")
        settings = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={name}"))
        call("pg_ctl", "start", "-w", "-l", "log", "-o", settings)
        try:
            yield f"postgresql://save@/postgres?host={name}"
        finally:
            call("pg_ctl", "stop", "-m", "immediate")
