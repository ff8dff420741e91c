"""A hub on this machine: what it tells of a revision, and each file at a commit, over the file server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.file_server import Answer, FileServer, Handler, serving, well

LARGE = (".safetensors",)


@dataclass
class Hub:
    """One repository; ``revisions`` name commits, and each commit has files; ``downloads`` says how the next
    are answered.
    """

    server: FileServer
    name: str = "owner/tiny"
    revisions: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    downloads: list[Answer] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return self.server.url.rsplit("/", 1)[0]

    def push(self, folder: Path, revision: str = "main") -> str:
        """A new commit of a folder's files; returns its name."""
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        commit = hashlib.sha1(b"".join(files.values())).hexdigest()
        self.commits[commit] = files
        self.revisions |= {revision: commit, commit: commit}
        return commit

    def files_asked(self) -> list[str]:
        return [path for path in self.server.paths if "/resolve/" in path]

    def answer(self, handler: Handler) -> None:
        path = handler.path.split("?")[0].removeprefix("/")
        about = f"api/models/{self.name}"
        if path == about or path.startswith(f"{about}/revision/"):
            self._tell(handler, path.removeprefix(about).removeprefix("/revision/") or "main")
            return
        _, _, rest = path.partition(f"{self.name}/resolve/")
        revision, _, file = rest.partition("/")
        content = self.commits.get(self.revisions.get(revision, ""), {}).get(file)
        if content is None:
            handler.send_error(404)
            return
        self.server.content, self.server.etag = content, f'"{hashlib.sha256(content).hexdigest()}"'
        (self.downloads.pop(0) if self.downloads else well)(handler)

    def _tell(self, handler: Handler, revision: str) -> None:
        commit = self.revisions.get(revision)
        if commit is None:
            handler.send_error(404)
            return
        siblings = [self._sibling(name, content) for name, content in self.commits[commit].items()]
        body = json.dumps({"id": self.name, "sha": commit, "siblings": siblings}).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _sibling(self, name: str, content: bytes) -> dict:
        told: dict = {"rfilename": name, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
        if name.endswith(LARGE):
            sha256 = hashlib.sha256(content).hexdigest()
            told["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        return told


@contextmanager
def hub() -> Iterator[Hub]:
    with serving(b"") as server:
        found = Hub(server)
        server.usual = found.answer
        yield found
