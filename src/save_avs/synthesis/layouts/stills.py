"""What the writers share: scenes drawn one by one, and a clip's files filled from a scene."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from save_avs.audio.log_mel import log_mel
from save_avs.datasets.clip_files import ClipPaths
from save_avs.datasets.spec import WITHIN_S
from save_avs.synthesis.audio_mix import mix_audio
from save_avs.synthesis.corpus import RATE, Corpus, CorpusSplit
from save_avs.synthesis.corpus_io import write_mask, write_wav
from save_avs.synthesis.render import InstanceMap, render_scene
from save_avs.synthesis.scene import Scene, SceneOptions, random_scene
from save_avs.synthesis.video_export import Progress
from save_avs.types import F32

SIZE = (224, 224)
ONE = SceneOptions(source_count_probs=(0.0, 1.0, 0.0), motion=True, augment=False, texture_prob=0.0)
SEVERAL = SceneOptions(
    source_count_probs=(0.0, 0.5, 0.5), num_objects=(2, 4), motion=True, augment=False, texture_prob=0.0
)

WriteTruth = Callable[[Path, InstanceMap, Scene, float], None]  # path, what each pixel shows, scene, time


@dataclass(frozen=True)
class LayoutRequest:
    """What is to be written.

    Attributes:
        corpora: the splits, each with what it may use.
        count: clips in each split.
        seed: what they are drawn from: clip i of a split depends on (seed, the split's name, i) alone.
        size: (height, width) of frames and masks, pixels.
        progress: called after each clip.
    """

    corpora: Mapping[CorpusSplit, Corpus]
    count: int
    seed: int = 0
    size: tuple[int, int] = SIZE
    progress: Progress = lambda _, __: None


@dataclass(frozen=True)
class PlannedScene:
    """A scene, and what it is called.

    Attributes:
        split: whose pictures and sounds it is of.
        name: unique in what is written.
        scene: what is seen and heard.
    """

    split: CorpusSplit
    name: str
    scene: Scene


def plan_scenes(
    order: LayoutRequest, options: SceneOptions, *, seconds: float, segments: int = 1, kind: str = ""
) -> Iterator[PlannedScene]:
    """Draw the scenes of an order, split after split.

    Args:
        order: how many of what.
        options: how they are drawn.
        seconds: length of each.
        segments: stretches in which the same things sound.
        kind: tells scenes of one split apart that are drawn for different subsets.
    """
    done, total = 0, order.count * len(order.corpora)
    for split, corpus in order.corpora.items():
        tag = f"{kind}-{split}" if kind else split
        for i in range(order.count):
            rng = np.random.default_rng((order.seed, *tag.encode(), i))
            scene = random_scene(rng, corpus, options, segments=segments, segment_s=seconds / segments)
            yield PlannedScene(split, f"{tag}-{order.seed}-{i:06d}", scene)
            done += 1
            order.progress(done, total)


def sounding_classes_in_view(
    scene: Scene, *, start: float = 0.0, stop: float | None = None
) -> tuple[str, ...]:
    """Classes in view that sound between two times, sorted."""
    stop = scene.duration if stop is None else stop
    groups = {thing.cutout.group for thing in scene.objects}
    audio_sources = [
        v for v in scene.audio_sources if v.name in groups and v.span[0] < stop and start < v.span[1]
    ]
    return tuple(sorted({voice.name for voice in audio_sources if voice.name is not None}))


def write_clip_files(
    scene: Scene,
    files: ClipPaths[Path],
    *,
    size: tuple[int, int],
    truth: WriteTruth | None = None,
    first: int = 0,
) -> None:
    """Fill a clip's files: frame k shows the scene at 15/16 of second ``first`` + k.

    Args:
        scene: at least as long as its frames reach.
        files: where each part goes; frames without an annotation there get none.
        size: (height, width), pixels.
        truth: writes an annotation; a one-bit mask of what sounds when left out.
        first: second of the first frame.
    """
    sound = mix_audio(scene.audio_sources, 0.0, scene.duration)
    write_wav(files.wav, sound)
    if files.log_mel is not None:
        _write_patches(files.log_mel, log_mel(sound, RATE))
    for k, (frame, annotation) in enumerate(zip(files.frames, files.annotations, strict=True)):
        time = first + k + WITHIN_S
        picture, instances = render_scene(scene, time, *size)
        frame.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(frame, quality=95)
        if annotation is not None:
            (truth or _write_mask)(annotation, instances, scene, time)


def _write_mask(path: Path, instances: InstanceMap, scene: Scene, time: float) -> None:
    write_mask(path, np.isin(instances, scene.sounding_at(time)))


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV with a head."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def _write_patches(path: Path, log_mel: F32) -> None:
    """Pickle patches f32 [N,96,64] as the benchmark does: a torch tensor [N,1,96,64]."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pickle.dump(torch.from_numpy(log_mel).unsqueeze(1), file)
