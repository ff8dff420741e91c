"""A local Hugging Face Hub with one repository, read and written by huggingface_hub, over the file server."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import constants

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
    token: str = ""  # that the requests must have; without it, a private repository seems absent
    gated: bool = False  # to those without the token, the terms are to be accepted
    created: dict[str, object] = field(
        default_factory=dict
    )  # what the last request for a new repository asked
    cards: list[str] = field(default_factory=list)  # model cards that were sent for validation

    @property
    def endpoint(self) -> str:
        return self.server.url.rsplit("/", 1)[0]

    def push(self, folder: Path, revision: str = "main") -> str:
        """Make a new commit of a folder's files; return its name."""
        return self.commit({path.name: path.read_bytes() for path in sorted(folder.iterdir())}, revision)

    def commit(self, files: dict[str, bytes], revision: str) -> str:
        commit = hashlib.sha1(b"".join(files.values())).hexdigest()
        self.commits[commit] = files
        self.revisions |= {revision: commit, commit: commit}
        return commit

    def answer(self, handler: Handler) -> None:
        if handler.command == "POST":
            self.write(handler)
            return
        _, _, rest = handler.path.split("?")[0].partition(f"/{self.name}/resolve/")
        revision, _, file = rest.partition("/")
        commit = self.revisions.get(revision, "")
        content = self.commits.get(commit, {}).get(file)
        denied = self.denies(handler)
        if content is None or denied:
            known = f"/{self.name}/" in handler.path and not denied
            code = "RepoNotFound" if not known else "RevisionNotFound" if not commit else "EntryNotFound"
            if denied and self.gated:
                code = "GatedRepo"
            handler.send_response(404 if known else 403 if code == "GatedRepo" else 401)
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

    def denies(self, handler: Handler) -> bool:
        return bool(self.token) and handler.headers.get("Authorization") != f"Bearer {self.token}"

    def write(self, handler: Handler) -> None:
        """Create a repository, validate a card, say how files are uploaded, or commit them."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        name, _, revision = handler.path.split("?")[0].removeprefix("/api/models/").rpartition("/")
        if self.denies(handler):
            handler.send_error(401)
        elif handler.path == "/api/repos/create":
            self.created = json.loads(body)
            owner, _, repository = self.name.partition("/")
            owner = str(self.created.get("organization") or owner)
            reply(handler, {"url": f"{self.endpoint}/{owner}/{self.created.get('name', repository)}"})
        elif handler.path == "/api/validate-yaml":
            self.cards.append(json.loads(body)["content"])
            reply(handler, {"errors": [], "warnings": []})
        elif name.endswith("/preupload"):
            files = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in files]
            reply(handler, {"files": modes})
        else:
            self.name = name.removesuffix("/commit")
            lines = [json.loads(line)["value"] for line in body.splitlines()]
            files = {line["path"]: b64decode(line["content"]) for line in lines if "path" in line}
            commit = self.commit(files, revision)
            url = f"{self.endpoint}/{self.name}/commit/{commit}"
            reply(handler, {"success": True, "commitOid": commit, "commitUrl": url})


def reply(handler: Handler, document: object) -> None:
    content = json.dumps(document).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


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


def use_hub(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what HF_ENDPOINT does when huggingface_hub is imported."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def use_hub_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Do what HF_HOME does when huggingface_hub is imported; return the folder."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return folder
