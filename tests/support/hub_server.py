"""A local Hugging Face Hub with one repository: the requests of huggingface_hub, over the file server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.file_server import Answer, FileServer, Handler, serving, well

LARGE = (".safetensors",)  # stored by their sha256; other files are git blobs


@dataclass
class Hub:
    """One repository: ``revisions`` name commits with their files; ``downloads`` holds the next answers."""

    server: FileServer
    name: str = "owner/tiny"
    revisions: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    downloads: list[Answer] = field(default_factory=list)
    token: str = ""

    @property
    def endpoint(self) -> str:
        return self.server.url.rsplit("/", 1)[0]

    def push(self, folder: Path, revision: str = "main") -> str:
        """Make a new commit of a folder's files; return its name."""
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        commit = hashlib.sha1(b"".join(files.values())).hexdigest()
        self.commits[commit] = files
        self.revisions |= {revision: commit, commit: commit}
        return commit

    def answer(self, handler: Handler) -> None:
        _, _, rest = handler.path.split("?")[0].partition(f"/{self.name}/resolve/")
        revision, _, file = rest.partition("/")
        commit = self.revisions.get(revision, "")
        content = self.commits.get(commit, {}).get(file)
        denied = self.token and handler.headers.get("Authorization") != f"Bearer {self.token}"
        if content is None or denied:
            known = f"/{self.name}/" in handler.path and not denied
            code = "RepoNotFound" if not known else "RevisionNotFound" if not commit else "EntryNotFound"
            handler.send_response(404 if known else 401)
            handler.send_header("X-Error-Code", code)
            handler.send_header("X-Error-Message", "Repository not found" if not known else "not found")
            if commit and known:
                handler.send_header("X-Repo-Commit", commit)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        self.server.content, self.server.etag = content, f'"{_etag(file, content)}"'
        self.server.headers = {"X-Repo-Commit": commit}
        if file.endswith(LARGE):
            self.server.headers |= {"X-Linked-Etag": self.server.etag, "X-Linked-Size": str(len(content))}
        (self.downloads.pop(0) if self.downloads and handler.command == "GET" else well)(handler)


def _etag(file: str, content: bytes) -> str:
    if file.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def hub() -> Iterator[Hub]:
    with serving(b"") as server:
        found = Hub(server)
        server.usual = found.answer
        yield found
