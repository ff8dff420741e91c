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


class Postgres:
    """A server in a folder, reached through a socket in it: ``url`` is its database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None  # it refuses to run as root
        self.url = f"postgresql://save@/postgres?host={folder}"
        if self._user:
            shutil.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._call("initdb", "-A", "trust", "-U", "save", "--no-sync", "--encoding=UTF8", "--locale=C")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = (*SETTINGS, f"unix_socket_directories={self._folder}")
        self._call("pg_ctl", "start", "-w", "-l", "log", "-o", " ".join(f"-c {each}" for each in settings))

    def stop(self) -> None:
        """Stop it at once."""
        self._call("pg_ctl", "stop", "-m", "immediate")

    def _call(self, program: str, *arguments: str) -> None:
        rights: dict[str, Any] = {}
        if self._user:
            rights = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        path = binaries()
        assert path is not None
        command = [path / program, "-D", "data", *arguments]
        subprocess.run(command, cwd=self._folder, stdout=subprocess.DEVNULL, check=True, **rights)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A started server in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="pg-") as name:  # a short path, as sockets need
        server = Postgres(Path(name))
        server.start()
        try:
            yield server
        finally:
            server.stop()
