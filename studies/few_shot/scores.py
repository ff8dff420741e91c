"""A trial's answers, scored and kept, so that a study goes on where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import torch

from save_avs._files import atomic_path
from save_avs.evaluation.accumulator import ScoreAccumulator
from save_avs.metrics import PROTOCOLS, ClipTable
from studies.few_shot.learning import answer
from studies.few_shot.methods import Method
from studies.few_shot.trials import Trial

PROTOCOL = PROTOCOLS["dataset"]
_COLUMNS = tuple(column.name for column in fields(ClipTable))


@dataclass(frozen=True)
class TrialScores:
    """What came out of a trial.

    Attributes:
        shots: examples a class.
        sources: what each clip asked about is drawn again with.
        classes: what sounds in each.
        tables: of each method, a row a clip.
        seconds: what each method took to make use of the examples.
    """

    shots: int
    sources: tuple[str, ...]
    classes: tuple[str, ...]
    tables: Mapping[str, ClipTable]
    seconds: Mapping[str, float]

    def save(self, path: Path) -> None:
        """Write one .npz; whole or not at all."""
        arrays = {f"{m}.{c}": getattr(table, c) for m, table in self.tables.items() for c in _COLUMNS}
        arrays |= {f"{m}.seconds": np.array(value) for m, value in self.seconds.items()}
        with atomic_path(path) as part:
            np.savez_compressed(
                part,
                allow_pickle=False,
                shots=np.array(self.shots),
                sources=np.array(self.sources),
                classes=np.array(self.classes),
                **arrays,
            )

    @classmethod
    def load(cls, path: Path, methods: Mapping[str, Method]) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as kept:
            return cls(
                shots=int(kept["shots"]),
                sources=tuple(kept["sources"].tolist()),
                classes=tuple(kept["classes"].tolist()),
                tables={m: ClipTable(*(kept[f"{m}.{c}"] for c in _COLUMNS)) for m in methods},
                seconds={m: float(kept[f"{m}.seconds"]) for m in methods},
            )


def score_trial(trial: Trial, methods: Mapping[str, Method], seed: int) -> TrialScores:
    """Let every method see the examples, then ask all of them about the same frames."""
    networks, seconds, books = {}, {}, {}
    for name, method in methods.items():
        start = time.monotonic()
        networks[name] = network = method.after(trial.examples, seed)
        seconds[name] = time.monotonic() - start
        books[name] = ScoreAccumulator(
            [PROTOCOL.scoring], image_size=network.image_size, resize=network.resize
        )
    for frames in trial.queries():
        batch = frames.batch()
        for name, network in networks.items():
            with torch.inference_mode():
                books[name].add(batch, answer(network, frames)[:, 0], None)
    tables = {name: book.metrics[PROTOCOL.scoring].table().by_clip() for name, book in books.items()}
    clips = next(iter(tables.values())).clips.tolist()
    return TrialScores(
        shots=trial.shots,
        sources=tuple(trial.source(clip) for clip in clips),
        classes=tuple(trial.category(clip) for clip in clips),
        tables=tables,
        seconds=seconds,
    )
