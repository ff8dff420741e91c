"""Fetching published weights into the cache, from the publisher, a mirror or a file, checked before use."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from filelock import FileLock

from save_avs._download import RetryPolicy, check_free_space, discard_partial, download
from save_avs.errors import DataError, SaveAvsError, UsageError
from save_avs.weights.cache import cached_path, read_record, write_record
from save_avs.weights.file_check import find_defect
from save_avs.weights.hub import HUB_PREFIX, HubRepository, fetch_from_hub
from save_avs.weights.identity import FileIdentity, sha256_of
from save_avs.weights.registry import PretrainedWeights, WeightsFile, pretrained_weights

_RETRY = RetryPolicy()
_HTTP = ("http://", "https://")
_RESUMABLE = ". The partial download was kept; run the command again to resume"
_logger = logging.getLogger(__name__)


OnProgress = Callable[[str, int, int | None], None]


class FetchedFile(NamedTuple):
    """A file in the cache; ``new`` unless it was there before."""

    path: Path
    identity: FileIdentity
    new: bool


def fetch_weights(
    weights: PretrainedWeights,
    *,
    sources: Sequence[str] = (),
    offline: bool = False,
    on_progress: OnProgress = lambda task, done, total: None,
    on_message: Callable[[str], None] = _logger.warning,
) -> list[FetchedFile]:
    """Fetch all files of published weights into the cache, or check those that are there.

    A file appears under its name only when it is complete and nothing contradicts what is published of it:
    size, sha256, format. Its size and sha256 are recorded next to it, and it is checked against that record
    from then on.

    Args:
        weights: what to fetch.
        sources: URLs (http, https, file), repositories on the Hub (hf:OWNER/NAME), files or folders instead
            of the publisher's, tried in turn. A URL that ends in "/", a repository and a folder hold the
            files under their names.
        offline: do not use the network: only files and folders among the sources, and the caches.
        on_progress: receives the task ("fetching FILE", "checking FILE"), and the bytes that are done and of
            all (None where the server does not say).
        on_message: receives why a source was given up for the next.

    Returns:
        One entry per file, the weights first.

    Raises:
        UsageError: when a source is unusable, or there is none and the network may not be used.
        DataError: when a source or the cache has another file than the one wanted.
        SaveAvsError: when no source could be read.
    """
    for source in sources:
        _check_source(source)
    fetches = [_FileFetch(weights, file, on_progress, on_message, offline) for file in weights.files]
    return [fetch.run(sources) for fetch in fetches]


@dataclass(frozen=True)
class _FileFetch:
    """One file on its way into the cache."""

    weights: PretrainedWeights
    file: WeightsFile
    on_progress: OnProgress
    on_message: Callable[[str], None]
    offline: bool

    @property
    def target(self) -> Path:
        return cached_path(self.file, self.weights.name)

    def run(self, sources: Sequence[str]) -> FetchedFile:
        target = self.target
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):  # a concurrent fetch waits for the file
            if target.is_file():
                return FetchedFile(target, self._check_cached(), new=False)
            given = [source for source in sources if self._applies(source)]
            inside = f"/{self.file.file}"
            usable = [s.rstrip("/") + inside if _holds_several(s) else s for s in given] or [self.file.url]
            if self.offline and not (usable := [source for source in usable if not source.startswith(_HTTP)]):
                raise UsageError(
                    f"{target} is not there, and --offline forbids a download: "
                    f"give --from FILE, or copy it there from {self.file.url}"
                )
            return FetchedFile(target, self._from_first_usable(usable), new=True)

    def _check_cached(self) -> FileIdentity:
        try:
            identity, record = self._check(self.target), read_record(self.target)
            if record is not None and not identity.matches(record):
                raise DataError(f"it is not the file that was fetched (sha256 {record.sha256[:12]}...)")
        except DataError as error:
            raise DataError(
                f"{self.target} is not {self.weights.name}: {error}; remove it and fetch it again"
            ) from error
        if record is None:
            write_record(self.target, identity)
        return identity

    def _from_first_usable(self, sources: Sequence[str]) -> FileIdentity:
        failures: list[SaveAvsError] = []
        for source in sources:
            try:
                return self._from_source(source)
            except SaveAvsError as error:
                failures.append(error)
                if source != sources[-1]:
                    self.on_message(f"{error}; trying the next source")
        kind = next((type(error) for error in failures if isinstance(error, DataError)), type(failures[-1]))
        alone = len(sources) == 1 and self.weights.name in pretrained_weights()
        hint = "; name another source with --from URL|FILE" if alone else ""
        raise kind("; ".join(map(str, failures)) + hint)

    def _from_source(self, source: str) -> FileIdentity:
        target = self.target
        part = target.with_name(f".{target.name}.part")

        on_bytes = partial(self.on_progress, f"fetching {self.file.file}")
        if source.startswith(HUB_PREFIX):
            repository, name = HubRepository.parse(source.rpartition("/")[0]), self.file.file
            folder = fetch_from_hub(repository, [name], on_bytes=on_bytes, local_files_only=self.offline)
            _link(folder / name, part)
        elif source.startswith(_HTTP):
            download(source, part, size=self.file.size, on_bytes=on_bytes, retry=_RETRY, hint=_RESUMABLE)
        else:
            _copy(_local_path(source), part)
        try:
            identity = self._check(part)
        except DataError as error:
            discard_partial(part)
            raise DataError(f"{source} is not {self.file.file}: {error}") from error
        write_record(target, identity)
        part.replace(target)
        discard_partial(part)
        return identity

    def _check(self, path: Path) -> FileIdentity:
        """Return the identity of a file that may be the one wanted."""
        if defect := find_defect(path, self.file.file):
            raise DataError(defect)
        done, size = 0, path.stat().st_size

        def on_bytes(count: int) -> None:
            nonlocal done
            done += count
            self.on_progress(f"checking {self.file.file}", done, size)

        sha256 = sha256_of(path, on_bytes)
        if mismatch := self.file.find_mismatch(size, sha256):
            raise DataError(mismatch)
        return FileIdentity(name=self.weights.name, size=size, sha256=sha256)

    def _applies(self, source: str) -> bool:
        """Return whether a source is for this file: a folder is; a file by its name, or if unknown."""
        remote = unquote(urlsplit(source).path).rsplit("/", 1)[-1]
        name = remote if source.startswith(_HTTP) else _local_path(source).name
        others = {other.file for other in self.weights.files} - {self.file.file}
        is_weights = self.file == self.weights.weights and name not in others
        return _holds_several(source) or name == self.file.file or is_weights


def _copy(source: Path, part: Path) -> None:
    if not source.is_file():
        raise UsageError(f"{source}: no such file")
    discard_partial(part)
    check_free_space(part.parent, source.stat().st_size)
    try:
        shutil.copyfile(source, part)
    except BaseException:
        discard_partial(part)
        raise


def _link(cached: Path, part: Path) -> None:
    """Give a file in the Hub's cache a second name, or copy it where the file system cannot."""
    discard_partial(part)
    try:
        part.hardlink_to(cached.resolve())
    except OSError:
        _copy(cached, part)


def _check_source(source: str) -> None:
    scheme = urlsplit(source).scheme
    if "://" in source and scheme not in ("http", "https", "file"):
        raise UsageError(f"--from {source}: only http, https and file URLs and hf:OWNER/NAME are supported")
    if source.startswith(HUB_PREFIX):
        HubRepository.parse(source)
    elif not source.startswith(_HTTP) and not _local_path(source).exists():
        raise UsageError(f"--from {source}: no such file or folder")


def _local_path(source: str) -> Path:
    return Path(url2pathname(urlsplit(source).path)) if source.startswith("file://") else Path(source)


def _holds_several(source: str) -> bool:
    if source.startswith(_HTTP):
        return source.endswith("/")
    return source.startswith(HUB_PREFIX) or _local_path(source).is_dir()
