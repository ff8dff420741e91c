"""Results as published in papers (``reference_results.yaml``); none of them was measured again."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import yaml


@dataclass(frozen=True)
class PublishedResult:
    """A paper's result on a data set."""

    method: str  # name and venue
    miou: float  # percent, as printed
    f: float | None = None  # percent; None if the paper has none
    # code that scored it, as far as it is known
    protocol: str = "the benchmark's public code; the batch size is not stated"
    caveat: str = ""  # for comparisons with our scores


_RESULTS: dict[str, dict[str, Any]] = yaml.safe_load(
    files("save_avs.evaluation").joinpath("reference_results.yaml").read_text("utf-8")
)
TEST_CLIPS: dict[str, int] = {data: entry["clips"] for data, entry in _RESULTS.items()}
"""Clips of the test splits that the published results are of."""


def published_results(kind: Literal["masks", "labels"], data: str, split: str) -> tuple[PublishedResult, ...]:
    """Return the published results of a test split: for masks, or for the label maps of AVSBench-semantic."""
    rows = _RESULTS.get(data, {}).get(kind, ()) if split == "test" else ()
    return tuple(PublishedResult(**row) for row in rows)
