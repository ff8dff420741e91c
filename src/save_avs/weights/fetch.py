"""Bringing published weights into the cache: from the publisher, a mirror or a file, checked before use."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from filelock import FileLock

from save_avs.errors import DataError, SaveAvsError, UsageError
from save_avs.weights.cache import cached_path, read_record, write_record
from save_avs.weights.download import DEFAULT_RETRY, RetryPolicy, discard_partial, download
from save_avs.weights.identity import FileIdentity, sha256_of
from save_avs.weights.registry import PRETRAINED_WEIGHTS, PretrainedWeights, WeightsFile
from save_avs.weights.validation import find_defect

_PIECE = 2**20  # bytes copied at a time


class Step(NamedTuple):
    """How far one file is: ``doing`` it, ``done`` of ``total`` bytes (None where nobody says)."""

    file: str
    doing: str
    done: int
    total: int | None


class TransferReporter(NamedTuple):
    """Who hears how it goes: ``step`` often, ``say`` a line worth reading."""

    step: Callable[[Step], None] = lambda step: None
    say: Callable[[str], None] = lambda line: None


NO_REPORT = TransferReporter()


class FetchedFile(NamedTuple):
    """A file in the cache, and whether it was there before."""

    path: Path
    identity: FileIdentity
    new: bool


def fetch(
    known: PretrainedWeights,
    *,
    sources: Sequence[str] = (),
    offline: bool = False,
    report: TransferReporter = NO_REPORT,
    retry: RetryPolicy = DEFAULT_RETRY,
) -> list[FetchedFile]:
    """Bring all files of known weights into the cache, or check that they are there.

    A file appears under its name only when it is whole and nothing contradicts what is known of it: its size,
    its sha256 (or what is known of it), its format. Its size and sha256 are then recorded beside it, and it
    is checked against that record from then on.

    Args:
        known: what to fetch.
        sources: URLs (http, https, file), files or folders in place of the publisher's, tried in turn. One
            that ends in "/", and a folder, holds the files under their names.
        offline: touch no network: only files and folders among the sources, and the cache.
        report: hears of progress.
        retry: with servers.

    Returns:
        One entry a file, the weights first.

    Raises:
        UsageError: when a source is of no known kind, or nothing is here and the network may not be asked.
        DataError: when a source holds, or the cache held, another file than the one wanted.
        SaveAvsError: when no source could be read.
    """
    for source in sources:
        _check(source)
    return [
        _fetch_file(known, file, sources=sources, offline=offline, report=report, retry=retry)
        for file in known.files
    ]


def _fetch_file(
    known: PretrainedWeights,
    file: WeightsFile,
    *,
    sources: Sequence[str],
    offline: bool,
    report: TransferReporter,
    retry: RetryPolicy,
) -> FetchedFile:
    target = cached_path(file, known.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    with lock:  # a second fetch waits, and finds the file
        if target.is_file():
            return FetchedFile(target, _check_kept(known, file, target, report), new=False)
        places = [_inside(source, file) for source in sources if _meant_for(source, file, known)]
        places = places or [file.url]
        here = [place for place in places if not (offline and _remote(place))]
        if not here:
            raise UsageError(
                f"{target} is not there, and --offline keeps from fetching it: "
                f"give --from FILE, or copy it there from {file.url}"
            )
        identity = _from_any(here, known, file, target, report=report, retry=retry)
    return FetchedFile(target, identity, new=True)


def _check_kept(
    known: PretrainedWeights, file: WeightsFile, target: Path, report: TransferReporter
) -> FileIdentity:
    """Check a file that lies in the cache, against what is known and what was recorded."""
    identity = FileIdentity(name=known.name, size=target.stat().st_size, sha256=_sha256(target, file, report))
    before = read_record(target)
    wrong = file.find_mismatch(identity.size, identity.sha256) or find_defect(target)
    if not wrong and before is not None and not identity.matches(before):
        wrong = f"it is not the file that was fetched (sha256 {before.sha256[:12]}...)"
    if wrong:
        raise DataError(f"{target} is not {known.name}: {wrong}; remove it and fetch it again")
    if before is None:
        write_record(target, identity)
    return identity


def _from_any(
    places: Sequence[str],
    known: PretrainedWeights,
    file: WeightsFile,
    target: Path,
    *,
    report: TransferReporter,
    retry: RetryPolicy,
) -> FileIdentity:
    failures: list[SaveAvsError] = []
    for source in places:
        try:
            return _from_one(source, known, file, target, report=report, retry=retry)
        except SaveAvsError as error:
            failures.append(error)
            if source != places[-1]:
                report.say(f"{error}; trying the next source")
    kind = next((type(error) for error in failures if isinstance(error, DataError)), type(failures[-1]))
    hint = ""
    if known.name in PRETRAINED_WEIGHTS and len(places) == 1:
        hint = "; another source may be named with --from URL|FILE"
    raise kind("; ".join(map(str, failures)) + hint)


def _from_one(
    source: str,
    known: PretrainedWeights,
    file: WeightsFile,
    target: Path,
    *,
    report: TransferReporter,
    retry: RetryPolicy,
) -> FileIdentity:
    part = target.with_name(f".{target.name}.part")

    def on_bytes(done: int, total: int | None) -> None:
        report.step(Step(file.file, "fetching", done, total))

    if _remote(source):
        download(source, part, size=file.size, on_bytes=on_bytes, retry=retry)
    else:
        _copy(_path(source), part, on_bytes)
    size, sha256 = part.stat().st_size, _sha256(part, file, report)
    if wrong := find_defect(part, file.file) or file.find_mismatch(size, sha256):
        discard_partial(part)
        raise DataError(f"{source} is not {file.file}: {wrong}")
    identity = FileIdentity(name=known.name, size=size, sha256=sha256)
    write_record(target, identity)
    part.replace(target)
    discard_partial(part)
    return identity


def _copy(source: Path, part: Path, on_bytes: Callable[[int, int | None], None]) -> None:
    if not source.is_file():
        raise UsageError(f"{source}: no such file")
    discard_partial(part)
    total = source.stat().st_size
    if shutil.disk_usage(part.parent).free < total:
        raise SaveAvsError(f"{part.parent}: no room for {total:,} bytes")
    try:
        with source.open("rb") as read, part.open("wb") as write:
            while piece := read.read(_PIECE):
                write.write(piece)
                on_bytes(write.tell(), total)
    except BaseException:
        discard_partial(part)
        raise


def _sha256(path: Path, file: WeightsFile, report: TransferReporter) -> str:
    done, total = 0, path.stat().st_size

    def on_bytes(count: int) -> None:
        nonlocal done
        done += count
        report.step(Step(file.file, "checking", done, total))

    return sha256_of(path, on_bytes)


def _check(source: str) -> None:
    """Refuse a source that is neither a URL we fetch nor a path."""
    scheme = urlsplit(source).scheme
    if "://" in source and scheme not in ("http", "https", "file"):
        raise UsageError(f"--from {source}: only http, https and file addresses are fetched")
    if not _remote(source) and not _path(source).exists():
        raise UsageError(f"--from {source}: no such file or folder")


def _remote(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _path(source: str) -> Path:
    return Path(url2pathname(urlsplit(source).path)) if source.startswith("file://") else Path(source)


def _holds_many(source: str) -> bool:
    return source.endswith("/") or (not _remote(source) and _path(source).is_dir())


def _inside(source: str, file: WeightsFile) -> str:
    """The place of one file in a source."""
    return f"{source.rstrip('/')}/{file.file}" if _holds_many(source) else source


def _meant_for(source: str, file: WeightsFile, known: PretrainedWeights) -> bool:
    """Whether a source has this file: one that holds many has; of others their name tells, or its lack."""
    name = unquote(urlsplit(source).path).rsplit("/", 1)[-1] if _remote(source) else _path(source).name
    others = {other.file for other in known.files} - {file.file}
    return _holds_many(source) or name == file.file or (file == known.weights and name not in others)
