"""Shared by all layouts of composed scenes: the request, its scenes, the files of a clip."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from save_avs.datasets.clip_files import ClipPaths
from save_avs.synthesis.corpus import Corpus, CorpusSplit
from save_avs.synthesis.output_files import write_mask, write_wav
from save_avs.synthesis.render import InstanceMap, mix_audio, render_scene
from save_avs.synthesis.scene import Scene, SceneOptions, random_scene
from save_avs.synthesis.video_export import Progress

FRAME_SIZE = (224, 224)
FRAME_OFFSET_S = 15 / 16  # where in its second a benchmark's frame is taken
ONE_SOURCE = SceneOptions(source_count_probs=(0.0, 1.0, 0.0), motion=True, augment=False, texture_prob=0.0)
SEVERAL_SOURCES = SceneOptions(
    source_count_probs=(0.0, 0.5, 0.5), num_objects=(2, 4), motion=True, augment=False, texture_prob=0.0
)
WriteAnnotation = Callable[[Path, InstanceMap, Scene, float], None]  # path, instance map, scene, time


@dataclass(frozen=True)
class LayoutRequest:
    """Clips to write in a layout."""

    corpora: Mapping[CorpusSplit, Corpus]  # the splits, each with what it may use
    count: int  # clips in each split
    seed: int = 0  # clip i of a split depends on (seed, the split's name, i) only
    size: tuple[int, int] = FRAME_SIZE  # (height, width) of frames and masks, pixels
    progress: Progress = lambda _, __: None  # called after each clip


class PlannedScene(NamedTuple):
    """A scene, its split, and a name that is unique in what is written."""

    split: CorpusSplit
    name: str
    scene: Scene


def plan_scenes(
    request: LayoutRequest, options: SceneOptions, *, seconds: float, segments: int = 1, subset: str = ""
) -> Iterator[PlannedScene]:
    """Draw the scenes of a request, split after split, each of so many seconds.

    The sounding objects do not change within one of a scene's ``segments``. ``subset`` is a prefix of names
    and seeds, for scenes of one split in several subsets.
    """
    done, total = 0, request.count * len(request.corpora)
    for split, corpus in request.corpora.items():
        tag = f"{subset}-{split}" if subset else split
        for i in range(request.count):
            rng = np.random.default_rng((request.seed, *tag.encode(), i))
            scene = random_scene(rng, corpus, options, segments=segments, segment_s=seconds / segments)
            yield PlannedScene(split, f"{tag}-{request.seed}-{i:06d}", scene)
            done += 1
            request.progress(done, total)


def sounding_classes_in_view(scene: Scene) -> tuple[str, ...]:
    """Return the classes in view that sound at any time, sorted."""
    sounding = {source.name for source in scene.audio_sources}
    return tuple(sorted({item.cutout.group for item in scene.objects} & sounding))


def write_clip_files(
    scene: Scene,
    paths: ClipPaths[Path],
    *,
    size: tuple[int, int],
    write_annotation: WriteAnnotation | None = None,
    first_second: int = 0,
) -> None:
    """Write the files of a clip: frame k shows the scene at 15/16 of second ``first_second`` + k.

    Frames whose annotation is None get none; ``size`` is (height, width) in pixels. By default an annotation
    is a 1-bit mask of what sounds.
    """
    write_wav(paths.audio, mix_audio(scene.audio_sources, 0.0, scene.duration))
    for k, (path, annotation) in enumerate(zip(paths.frames, paths.annotations, strict=True)):
        time = first_second + k + FRAME_OFFSET_S
        frame, instances = render_scene(scene, time, *size)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame).save(path, quality=95)
        if annotation is not None:
            (write_annotation or _write_sounding_mask)(annotation, instances, scene, time)


def _write_sounding_mask(path: Path, instances: InstanceMap, scene: Scene, time: float) -> None:
    write_mask(path, np.isin(instances, scene.sounding_at(time)))


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])
