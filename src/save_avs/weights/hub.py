"""Models and published weights on the Hugging Face Hub.

``huggingface_hub`` downloads and caches them: its variables (HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE)
apply, and its cache is shared with other programs.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from save_avs._download import OnBytes
from save_avs._text import first_line
from save_avs.errors import DataError, SaveAvsError, UsageError
from save_avs.weights.identity import sha256_of

HUB_PREFIX = "hf:"
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True)
class HubRepository:
    """A model repository on the Hub."""

    name: str  # owner/name
    revision: str = "main"  # a branch, a tag or a commit

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``owner/name`` or ``owner/name@revision``, also with ``hf:`` before it; else a UsageError."""
        name, _, revision = text.removeprefix(HUB_PREFIX).partition("@")
        if not _NAME.fullmatch(name) or (not revision and "@" in text):
            raise UsageError(
                f"'{text}' does not name a model on the Hub: write hf:owner/name or hf:owner/name@revision"
            )
        return cls(name, revision or "main")

    def __str__(self) -> str:
        return f"{HUB_PREFIX}{self.name}@{self.revision}"


def fetch_from_hub(
    repository: HubRepository, files: Sequence[str], *, on_bytes: OnBytes | None = None, **options: Any
) -> Path:
    """Download files of a repository into the Hub's cache, and check them against the hashes that name them.

    The first file resolves the revision to a commit, the others come from that commit. A commit that is in
    the cache is not asked for again.

    Args:
        repository: which.
        files: names; all of them are needed.
        on_bytes: receives the progress of each download, instead of the library's bar.
        options: of ``hf_hub_download``: ``token``, ``cache_dir``, ``local_files_only``, ``force_download``.

    Returns:
        The folder of that commit.

    Raises:
        UsageError: when the repository lacks one of the files, or is not cached while HF_HUB_OFFLINE is set
            or only local files are asked for.
        DataError: when a file is not the one that the Hub lists.
        SaveAvsError: when the Hub cannot be reached, or has no such repository or revision.
    """
    if on_bytes is not None:
        options["tqdm_class"] = _bar_reporting_to(on_bytes)
    revision, path = repository.revision, Path()
    for name in files:
        path = _download(repository, name, revision, options)
        revision = path.parent.name  # snapshots/<commit>/<file>
        _check_hash(path)
    return path.parent


def _download(repository: HubRepository, name: str, revision: str, options: Mapping[str, Any]) -> Path:
    from huggingface_hub import constants, errors, hf_hub_download

    try:
        return Path(hf_hub_download(repository.name, name, revision=revision, **options))
    except errors.RevisionNotFoundError as error:
        raise SaveAvsError(f"{repository.name} has no revision {repository.revision}") from error
    except errors.GatedRepoError as error:
        raise SaveAvsError(
            f"{repository.name} is gated: accept its terms at {constants.ENDPOINT}/{repository.name}, "
            "and set HF_TOKEN to a token of that account"
        ) from error
    except errors.RepositoryNotFoundError as error:  # the Hub does not tell private repositories from none
        raise SaveAvsError(
            f"No model {repository.name} on {constants.ENDPOINT}: check the name, or set HF_TOKEN "
            "if it is private"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        if constants.HF_HUB_OFFLINE or options.get("local_files_only"):
            cache = options.get("cache_dir") or constants.HF_HUB_CACHE
            why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "only local files are asked for"
            raise UsageError(f"{repository} is not in {cache}, and {why}") from error
        raise SaveAvsError(
            f"{constants.ENDPOINT} cannot be reached, and {repository} is not cached"
        ) from error
    except errors.EntryNotFoundError as error:
        raise UsageError(f"{repository} has no {name}: name a repository that contains it") from error
    except Exception as error:  # of the HTTP client; those of this system, such as a full disk, have a number
        if getattr(error, "errno", None):
            raise
        raise SaveAvsError(
            f"{repository}: downloading {name} failed ({first_line(error)}): try again"
        ) from error


def _bar_reporting_to(on_bytes: OnBytes) -> type:
    """Return a class of progress bars, for ``tqdm_class``, that draw nothing and report their bytes."""
    from huggingface_hub.utils import tqdm

    received = 0  # of all bars: xet has one for what arrives and one for what is written

    class ReportingBar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs | {"disable": False, "file": io.StringIO()})

        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            nonlocal received
            received = max(received, int(self.n))
            on_bytes(received, self.total)

    return ReportingBar


def push_folder(
    folder: Path,
    name: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    **options: Any,
) -> str:
    """Upload a model folder as a commit of a repository, created if there is none; return its URL.

    Args:
        folder: its files are uploaded.
        name: owner/name, or a name of your own account.
        private: of a new repository; None for the account's default.
        token: instead of HF_TOKEN.
        branch: to commit to, else ``main``.
        options: of ``HfApi.upload_folder``.

    Raises:
        SaveAvsError: when the Hub refuses it or cannot be reached.
    """
    from huggingface_hub import HfApi, constants

    api = HfApi(token=token)
    try:
        created = api.create_repo(name, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=created.repo_id, folder_path=folder, revision=branch, **options))
    except Exception as error:
        if getattr(error, "errno", None):
            raise
        status = getattr(getattr(error, "response", None), "status_code", None)
        hint = "set HF_TOKEN to a token that may write" if status in (401, 403) else "try again"
        raise SaveAvsError(
            f"{name} on {constants.ENDPOINT} was not written ({first_line(error)}): {hint}"
        ) from error


def _check_hash(path: Path) -> None:
    """Compare a file with the hash by which the cache names its blob: a sha256, or git's of small files."""
    from huggingface_hub.utils.sha import git_hash

    blob = path.resolve()
    digests = {64: sha256_of, 40: lambda file: git_hash(file.read_bytes())}
    actual = digests.get(len(blob.name), lambda file: file.name)(blob)
    if actual != blob.name:
        raise DataError(f"{blob}: damaged (its hash is {actual[:12]}...): remove it and try again")
