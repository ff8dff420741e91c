"""Models on a Hugging Face hub: which commit a revision is, and that commit's files in the cache, checked."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from save_avs._files import atomic_write
from save_avs.errors import SaveAvsError, UsageError
from save_avs.weights.cache import cache_dir
from save_avs.weights.download import DEFAULT_RETRY, RetryPolicy
from save_avs.weights.fetch import NO_REPORT, TransferReporter, fetch
from save_avs.weights.registry import PretrainedWeights, WeightsFile

HUB_PREFIX = "hf:"
ENDPOINT, OFFLINE = "HF_ENDPOINT", "HF_HUB_OFFLINE"  # as huggingface_hub reads them
PUBLIC = "https://huggingface.co"

_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubRepository:
    """A model on the hub.

    Attributes:
        name: owner/name.
        revision: a branch, a tag or a commit.
    """

    name: str
    revision: str = "main"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``owner/name`` or ``owner/name@revision``, with ``hf:`` before it or without.

        Raises:
            UsageError: when it is neither.
        """
        name, _, revision = text.removeprefix(HUB_PREFIX).partition("@")
        if not _NAME.fullmatch(name) or (not revision and "@" in text):
            raise UsageError(
                f"'{text}' names no model on a hub: write hf:owner/name or hf:owner/name@revision"
            )
        return cls(name, revision or "main")

    @property
    def folder(self) -> str:
        """Where its commits lie in the cache."""
        return f"hub/{self.name.replace('/', '--')}"


def fetch_from_hub(
    repository: HubRepository,
    files: Sequence[str],
    *,
    report: TransferReporter = NO_REPORT,
    retry: RetryPolicy = DEFAULT_RETRY,
) -> Path:
    """Bring files of a repository into the cache, at the commit that its revision is now.

    A commit never changes: its files are fetched once, checked against the sha256 that the hub tells (of
    small files it tells none: theirs is recorded at the first download), and checked again at each use.
    With ``HF_HUB_OFFLINE`` set, a revision is the commit that it was when the hub was last asked.

    Args:
        repository: which.
        files: names; all of them are needed.
        report: hears of progress.
        retry: with the server.

    Returns:
        The folder of that commit.

    Raises:
        UsageError: when the repository lacks one of the files, or is not in the cache and the hub may not be
            asked.
        DataError: when a file is not the one that the hub tells.
        SaveAvsError: when the hub cannot be reached, or has no such repository or revision.
    """
    offline = os.environ.get(OFFLINE, "").upper() in ("1", "ON", "YES", "TRUE")
    note = cache_dir() / repository.folder / "revisions" / f"{quote(repository.revision, safe='')}.json"
    listing = _noted(note) if offline or _COMMIT.fullmatch(repository.revision) else None
    if listing is None:
        if offline:
            raise UsageError(
                f"hf:{repository.name}@{repository.revision} is not in {cache_dir()}, and {OFFLINE} is set"
            )
        listing = _ask(repository, retry)
        atomic_write(note, json.dumps(listing, indent=2) + "\n")
    known = _known(repository, listing, files)
    fetch(known, offline=offline, report=report, retry=retry)
    return cache_dir() / known.name


def _ask(repository: HubRepository, retry: RetryPolicy) -> dict[str, Any]:
    """What the hub tells of a revision: its commit, and of each large file its sha256 and size."""
    revision = quote(repository.revision, safe="")
    url = f"{_endpoint()}/api/models/{repository.name}/revision/{revision}?blobs=true"
    request = urllib.request.Request(url, headers={"User-Agent": "save-avs"})
    try:
        with urllib.request.urlopen(request, timeout=retry.timeout) as response:
            told = json.load(response)
        files = {entry["rfilename"]: _facts(entry.get("lfs")) for entry in told["siblings"]}
        return {"commit": told["sha"], "files": files}
    except urllib.error.HTTPError as error:
        missing = f"{_endpoint()} has no model {repository.name} with a revision {repository.revision}"
        if error.code in (401, 403, 404):  # the hub answers 401 where a private one may be
            raise SaveAvsError(f"{missing}, or it is private ({error.code})") from error
        raise SaveAvsError(f"{url}: the hub answers {error.code} ({error.reason})") from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise SaveAvsError(
            f"{_endpoint()} cannot be reached ({reason}); {OFFLINE}=1 uses what is in the cache"
        ) from error
    except (ValueError, LookupError, TypeError) as error:
        raise SaveAvsError(f"{url}: the answer is not a hub's") from error


def _facts(stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is told of a file that lies in large storage; nothing of others."""
    return {} if stored is None else {"sha256": stored["sha256"], "size": stored["size"]}


def _noted(note: Path) -> dict[str, Any] | None:
    try:
        return json.loads(note.read_bytes())
    except (OSError, ValueError):
        return None


def _known(repository: HubRepository, listing: Mapping[str, Any], files: Sequence[str]) -> PretrainedWeights:
    """A commit's files as ``fetch`` takes published weights."""
    commit, there = listing["commit"], listing["files"]
    if missing := [file for file in files if file not in there]:
        raise UsageError(f"hf:{repository.name} at {commit[:12]} is no SAVE: it has no {missing[0]}")
    resolve = f"{_endpoint()}/{repository.name}/resolve/{commit}"
    return PretrainedWeights(
        name=f"{repository.folder}/{commit}",
        description=f"{repository.name} at {commit[:12]}",
        files=tuple(WeightsFile(file=file, url=f"{resolve}/{file}", **there[file]) for file in files),
        sha256_source="sha256 from the hub",
        license="see its model card",
    )


def _endpoint() -> str:
    return os.environ.get(ENDPOINT, PUBLIC).rstrip("/")
