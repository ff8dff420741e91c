"""Few-shot trials: support sets and query frames, from composed scenes or AVSBench V3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.datasets import AVDataset, open_dataset
from save_avs.datasets.base import ClipMetadata
from save_avs.errors import UsageError
from save_avs.evaluation.benchmark import clips_by_category
from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.render import render_scene
from save_avs.synthesis.sample_streams import EVAL_OPTIONS, EVAL_TIME, render_sample
from save_avs.synthesis.scene import Scene, SceneOptions, random_scene
from save_avs.types import AVSample
from studies.few_shot.config import FewShotConfig
from studies.few_shot.frames import ClipFrames, FrameSet, clip_class, read_frame_set, read_in_parts

QUERY_OPTIONS = replace(EVAL_OPTIONS, source_count_probs=(0.0, 1.0, 0.0))
TRAINING_OPTIONS = SceneOptions(source_count_probs=(0.0, 1.0, 0.0))  # with augmentation
MIN_AREA = 0.005  # share of the frame that the sounding object must cover
MAX_DRAWS = 1000  # scenes drawn for each that is wanted
SEEN_SEED = 1_000_003  # added to the seed for scenes of seen classes


@dataclass(frozen=True)
class SceneClips:
    """Scenes of one frame, the same number for each sounding class, as an `AVDataset`.

    Attributes:
        scenes: in the order they were drawn.
        categories: sounding class of each.
        size: side of the frames, pixels.
        frontend: audio front-end.
        name: of the dataset.
        split: of the corpus.
        classes: empty, as the targets are masks.
    """

    scenes: tuple[Scene, ...]
    categories: tuple[str, ...]
    size: int
    frontend: Frontend = VGGISH
    name: str = "scenes"
    split: str = "zero-shot"
    classes: tuple[str, ...] = ()

    @classmethod
    def random(
        cls,
        corpus: Corpus,
        options: SceneOptions,
        *,
        size: int,
        per_class: int,
        seed: int,
        frontend: Frontend = VGGISH,
    ) -> Self:
        """Draw scenes, scene i from (seed, i) alone, until each class of the corpus has ``per_class``."""
        counts: Counter[str] = Counter()
        kept: list[tuple[Scene, str]] = []
        total = per_class * len(corpus.sounding)
        for i in range(MAX_DRAWS * total):
            scene = random_scene(np.random.default_rng((seed, i)), corpus, options)
            category = scene.objects[scene.sounding_at(EVAL_TIME)[0]].cutout.group
            if counts[category] < per_class and _is_visible(scene):
                counts[category] += 1
                kept.append((scene, category))
            if len(kept) == total:
                break
        return cls(tuple(scene for scene, _ in kept), tuple(name for _, name in kept), size, frontend)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, i: int) -> AVSample:
        return render_sample(self.scenes[i], [EVAL_TIME], self.size, f"scene-{i}", frontend=self.frontend)[0]

    def metadata(self, i: int) -> ClipMetadata:
        """Name and sounding class; every scene is its own source."""
        return ClipMetadata(f"scene-{i}", f"scene-{i}", (self.categories[i],))

    def num_annotated(self, i: int) -> int | None:
        """Every scene is one annotated frame."""
        return 1


def _is_visible(scene: Scene) -> bool:
    _, instances = render_scene(scene, EVAL_TIME, 64, 64)
    return bool(np.isin(instances, scene.sounding_at(EVAL_TIME)).mean() > MIN_AREA)


@dataclass(frozen=True)
class FewShotTrial:
    """A support set and its queries.

    Attributes:
        name: of its file.
        shots: examples per class.
        examples: the support set; None at zero shots.
        queries: reads the query frames, a few at a time.
        clips: the dataset of these frames.
        episode: name of the episode; None if every clip belongs to its source video instead.
    """

    name: str
    shots: int
    examples: FrameSet | None
    queries: Callable[[], Iterable[FrameSet]]
    clips: AVDataset
    episode: str | None = None

    def source(self, clip: int) -> str:
        """The unit of resampling: the episode, or the clip's source video."""
        return self.episode or self.clips.metadata(clip).source

    def category(self, clip: int) -> str:
        """Sounding class of a clip."""
        return clip_class(self.clips.metadata(clip))


@dataclass(frozen=True)
class FewShotData:
    """What is learned from, and the trials on unseen classes.

    Attributes:
        seen: frames of seen classes.
        trials: on unseen classes.
        seen_clips: all clips of seen classes, on which GAVS trains by its own recipe; None on scenes.
    """

    seen: FrameSet
    trials: Iterator[FewShotTrial]
    seen_clips: Sequence[FrameSet] | None = None


def scene_data(save: SAVE, root: str | Path, config: FewShotConfig) -> FewShotData:
    """Scenes of a corpus, whose training classes are seen and whose zero-shot classes are not.

    Raises:
        UsageError: the folder is no corpus, or lacks classes for a split.
    """
    common: dict[str, Any] = {"size": save.image_size, "frontend": save.frontend}
    seen = SceneClips.random(
        Corpus.load(root, "train"),
        TRAINING_OPTIONS,
        **common,
        per_class=config.seen,
        seed=config.seed + SEEN_SEED,
    )
    unseen = Corpus.load(root, "zero-shot")
    pool = SceneClips.random(unseen, QUERY_OPTIONS, **common, per_class=config.pool, seed=config.seed)
    trials = _episodes(pool, read_frame_set(pool, range(len(pool)), save), config)
    return FewShotData(read_frame_set(seen, range(len(seen)), save), trials)


def _episodes(clips: AVDataset, pool: FrameSet, config: FewShotConfig) -> Iterator[FewShotTrial]:
    """Episode i depends on (seed, i); its queries are the same for all shots."""
    rows = list(pool.rows_by_class().values())
    for episode in range(config.episodes):
        rng = np.random.default_rng((config.seed, episode))
        drawn = [rng.permutation(rows[c]).tolist() for c in rng.permutation(len(rows))[: config.ways]]
        first = config.max_shots
        queries = pool.take([row for part in drawn for row in part[first : first + config.queries]])
        for shots in config.shots:
            examples = pool.take([row for part in drawn for row in part[:shots]]) if shots else None
            name = f"episode-{episode:03}"
            yield FewShotTrial(
                f"{name}-{shots}-shot", shots, examples, lambda queries=queries: [queries], clips, name
            )


def v3_data(save: SAVE, root: str | Path, config: FewShotConfig) -> FewShotData:
    """AVSBench V3, whose tables fix the seen classes, the examples and the tests.

    Raises:
        UsageError: the folder does not contain the data set, or V3 has no table for a number of shots.
        DataError: a clip is broken.
    """
    if unknown := set(config.shots) - {0, 1, 3, 5}:
        raise UsageError(f"V3 has no table for {min(unknown)} shots: choose from 0, 1, 3 and 5")
    clips = open_dataset("v3-0", root, "train", frontend=save.frontend)
    rng = np.random.default_rng(config.seed)
    groups = clips_by_category([clips.metadata(i) for i in range(len(clips))])
    chosen = {i for rows in groups.values() for i in rng.permutation(rows)[: config.seen].tolist()}
    seen = read_frame_set(clips, sorted(chosen), save, examples=True)
    if not any(len(rows) > 1 for rows in seen.rows_by_class().values()):
        raise UsageError(
            f"{root}: no seen class of V3 has two clips of its own, which training the baselines needs"
        )
    return FewShotData(seen, _v3_trials(save, root, config), ClipFrames(clips, save))


def _v3_trials(save: SAVE, root: str | Path, config: FewShotConfig) -> Iterator[FewShotTrial]:
    for shots in config.shots:
        test = open_dataset(f"v3-{shots}", root, "test", frontend=save.frontend)
        examples = None
        if shots:
            support = open_dataset(f"v3-{shots}", root, "train", frontend=save.frontend)
            examples = read_frame_set(support, range(len(support)), save).sounding()
        yield FewShotTrial(
            f"v3-{shots}-shot", shots, examples, lambda test=test: read_in_parts(test, save), test
        )
