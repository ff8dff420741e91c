"""What a run came to, as a small JSON file that can be kept, moved and committed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from save_avs._files import atomic_write
from save_avs.errors import UsageError
from save_avs.models.serialization import WEIGHTS
from studies.runs import Run, starting_folders

VERSION = 1
FOLDER = "results"


class Row(NamedTuple):
    """A scene under one of its sounds, or a clip.

    Attributes:
        unit: which; the same for every run.
        source: units of one source are no independent ones.
        kind: what is asked of it.
        value: IoU, or the share of the picture that was marked where nothing should be.
        share: of the picture that should be marked.
    """

    unit: str
    source: str
    kind: str
    value: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Scores:
    """``rows``, and ``figures`` of all of them together that are no means of rows, as F."""

    figures: Mapping[str, float]
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a training took.

    Attributes:
        items: frames learned from in all stages, or clips.
        seconds: of all stages.
        memory_gb: peak of the last stage; None where nothing was trained.
        machine: processor, threads, torch.
    """

    items: int
    seconds: float
    memory_gb: float | None
    machine: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished run.

    Attributes:
        study, variant, seed: which.
        digest: of what was trained and scored (``Run.digest``).
        starts: sums of the weights it started from.
        recipe, evaluation: as they were, in full.
        spent: on training.
        scores: of the trained model.
    """

    study: str
    variant: str
    seed: int
    digest: str
    starts: tuple[str, ...]
    recipe: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    spent: Spent
    scores: Scores

    def save(self, folder: Path) -> Path:
        """Write it into the results of a study's folder."""
        document = {"version": VERSION, **asdict(self)}
        rows = [[*row[:3], round(row.value, 6), round(row.share, 6)] for row in self.scores.rows]
        document["scores"]["rows"] = rows
        path = result_path(folder, self)
        lines = json.dumps(document, ensure_ascii=False).replace("], [", "],\n[")
        atomic_write(path, lines + "\n")
        return path

    def of(self, run: Run) -> bool:
        """Whether it is what a run would come to: the same recipe, from the same weights where these are."""
        if self.digest != run.digest:
            return False
        try:
            return self.starts == sums_of_starts(run)
        except UsageError:
            return True

    def named_as(self, run: Run) -> Result:
        """The same under the name of another run that would come to it."""
        return replace(self, study=run.study, variant=run.variant, seed=run.seed)


def result_path(folder: Path, result: Result) -> Path:
    """Where a result lies in a study's folder."""
    return folder / FOLDER / f"{result.variant}-seed{result.seed}.json"


def read_result(path: Path) -> Result | None:
    """A result; None for a file that is none, or of another version."""
    try:
        document = json.loads(path.read_text("utf-8"))
        if document.pop("version") != VERSION:
            return None
        scores = document.pop("scores")
        return Result(
            **document | {"starts": tuple(document["starts"]), "spent": Spent(**document["spent"])},
            scores=Scores(figures=scores["figures"], rows=tuple(Row(*row) for row in scores["rows"])),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def results_in(folders: Iterable[Path]) -> Iterator[Result]:
    """All results below some folders, in order of their paths."""
    for folder in folders:
        for path in sorted(folder.rglob("*-seed*.json")):
            if (result := read_result(path)) is not None:
                yield result


def sums_of_starts(run: Run) -> tuple[str, ...]:
    """A sum of the weights of each model that a run starts from.

    Raises:
        UsageError: when one is not there.
    """
    files = [folder / WEIGHTS for folder in starting_folders(run)]
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file} is not there: train it first")
    return tuple(_sum(file, file.stat().st_mtime_ns) for file in files)


@cache
def _sum(path: Path, changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
