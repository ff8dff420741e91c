"""Trials: examples, and the frames that are asked about after them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from save_avs.datasets import AVDataset, open_dataset
from save_avs.errors import UsageError
from save_avs.evaluation.benchmark import clips_by_category as by_category
from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import Corpus
from studies.few_shot.frames import Frames, class_of, read_chunks, read_frames
from studies.few_shot.scene_clips import PLAIN, VARIED, SceneClips
from studies.few_shot.settings import Settings

SEEN_SEED = 1_000_003  # scenes of seen classes are other ones than those of unseen classes


@dataclass(frozen=True)
class Trial:
    """One set of examples and of questions.

    Attributes:
        name: of its file.
        shots: examples a class.
        examples: the support; None at zero shots.
        queries: reads what is asked about, some frames at a time.
        clips: the data set whose clips these frames are of.
        episode: which episode it is of; None where every clip stands for its own source video.
    """

    name: str
    shots: int
    examples: Frames | None
    queries: Callable[[], Iterable[Frames]]
    clips: AVDataset
    episode: str | None = None

    def source(self, clip: int) -> str:
        """What is drawn again as one for an interval: the episode, or the clip's source video."""
        return self.episode or self.clips.metadata(clip).source

    def category(self, clip: int) -> str:
        """What sounds in a clip."""
        return class_of(self.clips.metadata(clip))


@dataclass(frozen=True)
class Material:
    """What a study works on: frames of seen classes, and the trials on unseen ones."""

    seen: Frames
    trials: Iterator[Trial]


def from_scenes(save: SAVE, root: str | Path, settings: Settings) -> Material:
    """Scenes of a corpus: its training classes are seen, those of its zero-shot split are not.

    Raises:
        UsageError: when the folder is no corpus, or lacks classes for a split.
    """
    view: dict[str, Any] = {"size": save.image_size, "frontend": save.frontend}
    corpus = Corpus.load(root, "train")
    seen = SceneClips.draw(corpus, VARIED, **view, each=settings.seen, seed=settings.seed + SEEN_SEED)
    unseen = Corpus.load(root, "zero-shot")
    pool = SceneClips.draw(unseen, PLAIN, **view, each=settings.pool, seed=settings.seed)
    return Material(
        read_frames(seen, range(len(seen)), save),
        _episodes(pool, read_frames(pool, range(len(pool)), save), settings),
    )


def _episodes(clips: AVDataset, pool: Frames, settings: Settings) -> Iterator[Trial]:
    """Episode i is drawn from (seed, i): its questions are the same at all shots."""
    rows = list(pool.by_class().values())
    for episode in range(settings.episodes):
        rng = np.random.default_rng((settings.seed, episode))
        drawn = [rng.permutation(rows[c]).tolist() for c in rng.permutation(len(rows))[: settings.ways]]
        most = settings.most_shots
        asked = pool.take([row for part in drawn for row in part[most : most + settings.queries]])
        for shots in settings.shots:
            examples = pool.take([row for part in drawn for row in part[:shots]]) if shots else None
            name = f"episode-{episode:03}"
            yield Trial(f"{name}-{shots}-shot", shots, examples, lambda asked=asked: [asked], clips, name)


def from_v3(save: SAVE, root: str | Path, settings: Settings) -> Material:
    """AVSBench V3: its tables say which clips are seen, and fix examples and tests.

    Raises:
        UsageError: when the folder does not hold the data set, or a number of shots is none of V3's.
        DataError: when a clip is broken.
    """
    if strangers := set(settings.shots) - {0, 1, 3, 5}:
        raise UsageError(f"V3 has tables for 0, 1, 3 and 5 shots, not for {min(strangers)}")
    clips = open_dataset("v3-0", root, "train", frontend=save.frontend)
    rng = np.random.default_rng(settings.seed)
    by_name = by_category([clips.metadata(i) for i in range(len(clips))])
    chosen = {place for rows in by_name.values() for place in rng.permutation(rows)[: settings.seen].tolist()}
    seen = read_frames(clips, sorted(chosen), save, examples=True)
    if not any(len(rows) > 1 for rows in seen.by_class().values()):
        raise UsageError(
            f"{root}: no seen class of V3 has two clips to itself, so that baselines have nothing to compare"
        )
    return Material(seen, _tables(save, root, settings))


def _tables(save: SAVE, root: str | Path, settings: Settings) -> Iterator[Trial]:
    for shots in settings.shots:
        test = open_dataset(f"v3-{shots}", root, "test", frontend=save.frontend)
        examples = None
        if shots:
            support = open_dataset(f"v3-{shots}", root, "train", frontend=save.frontend)
            examples = read_frames(support, range(len(support)), save).sounding()
        yield Trial(f"v3-{shots}-shot", shots, examples, lambda test=test: read_chunks(test, save), test)
